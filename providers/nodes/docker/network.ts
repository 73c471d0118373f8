import { runHelper } from "./helper.ts";
import type { Cluster } from "./record.ts";

/** Runs a program in the network of a node, with the right to change it, and waits for it. */
export function inNetworkOf(
  cluster: Cluster,
  id: string,
  image: string,
  argv: readonly string[],
): Promise<{ code: number; text: string }> {
  return runHelper(cluster, image, argv, {
    NetworkMode: `container:${id}`,
    CapAdd: ["NET_ADMIN"],
  });
}

/** Runs a program beside the volumes of a node, whether that runs or not. */
export function atVolumesOf(
  cluster: Cluster,
  id: string,
  image: string,
  argv: readonly string[],
): Promise<{ code: number; text: string }> {
  return runHelper(cluster, image, argv, { NetworkMode: "none", VolumesFrom: [id] });
}
