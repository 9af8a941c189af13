/**
 * Who we are, and for which Kubernetes.
 *
 * @module
 */

/** The kube-proxy this is a drop-in for. */
export const KUBERNETES_VERSION = "v1.36.2";

/** Of this program. */
export const VIPD_VERSION = "0.1.0";
