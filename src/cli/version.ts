/**
 * Who we are, and for which Kubernetes.
 *
 * @module
 */

/** The kube-proxy this is a drop-in for. */
export const KUBERNETES_VERSION = "v1.36.2";

/** Of this program. */
export const VIPD_VERSION = "0.1.0";

/** As many digits as a commit has, so that a build can write its own in their place. */
const COMMIT = "0000000000000000000000000000000000000000";

/** What this program was built from: a commit, `…-dirty` behind it for more than that, or "source". */
export const VIPD_COMMIT: string = /^0+$/.test(COMMIT) ? "source" : COMMIT;
