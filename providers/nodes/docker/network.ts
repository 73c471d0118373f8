import { ask } from "./engine.ts";
import { readableLog } from "./life.ts";
import { type Cluster, LABEL } from "./record.ts";

/** Runs a program in the network of a node, with the right to change it, and waits for it. */
export async function inNetworkOf(
  { engine, name }: Cluster,
  id: string,
  image: string,
  argv: readonly string[],
): Promise<{ code: number; text: string }> {
  const container = await ask(engine, "make a helper", () =>
    engine.docker.createContainer({
      Image: image,
      Entrypoint: [...argv],
      Cmd: [],
      User: "0",
      Healthcheck: { Test: ["NONE"] },
      Labels: { [LABEL.cluster]: name, [LABEL.kind]: "helper" },
      HostConfig: { NetworkMode: `container:${id}`, CapAdd: ["NET_ADMIN"] },
    }),
  );
  const removed = () => void container.remove({ force: true }).catch(() => {});
  try {
    await ask(engine, "start a helper", () => container.start());
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    if (StatusCode === 0) return { code: 0, text: "" };
    const bytes = (await container.logs({ stdout: true, stderr: true })) as unknown as Buffer;
    return { code: StatusCode, text: readableLog(bytes).trim().slice(-2_000) };
  } finally {
    // Whoever pulls a plug does not wait for it.
    removed();
  }
}
