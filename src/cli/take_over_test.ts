import { doesNotThrow, throws } from "node:assert/strict";
import { requireUsable } from "./take_over.ts";

const CONFIG = `
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: /etc/k/kubeconfig.conf}
`;
const FILES: Readonly<Record<string, string>> = {
  "/etc/k/config.conf": CONFIG,
  "/etc/k/kubeconfig.conf": "{}",
  "/etc/k/bad.conf": CONFIG + "mode: magic\n",
  "/etc/k/home.conf": CONFIG.replace("/etc/k/kubeconfig.conf", "/root/.kube/config"),
  "/etc/k/lost.conf": CONFIG.replace("/etc/k/kubeconfig.conf", "/etc/lost.conf"),
};
const read = (path: string) => FILES[path];

const GOOD_ROWS = [
  ["no flags", []],
  ["a configuration", ["--config=/etc/k/config.conf", "--v=2"]],
  ["a separate value", ["--config", "/etc/k/config.conf"]],
  ["manifests", ["--manifests=/etc/k"]],
] as const;
for (const [what, args] of GOOD_ROWS) {
  Deno.test(`requireUsable() takes ${what}`, () => doesNotThrow(() => requireUsable(args, read)));
}

const BAD_ROWS = [
  ["a shell", ["-c", "exec kube-proxy"], /unknown flag/],
  ["a flag of another version", ["--no-such-flag=1"], /unknown flag/],
  ["a configuration that is lost", ["--config=/etc/x"], /--config names \/etc\/x, which is not/],
  ["a bad configuration", ["--config=/etc/k/bad.conf"], /magic/],
  ["a relative path", ["--config=config.conf"], /from the root/],
  ["a hidden kubeconfig", ["--config=/etc/k/home.conf"], /\/root\/\.kube\/config.*cannot see/],
  ["a lost kubeconfig", ["--config=/etc/k/lost.conf"], /kubeconfig names \/etc\/lost\.conf/],
  ["hidden manifests", ["--manifests=/home/me/x"], /cannot see/],
] as const;
for (const [what, args, message] of BAD_ROWS) {
  Deno.test(`requireUsable() refuses ${what}`, () => {
    throws(() => requireUsable(args, read), message);
  });
}
