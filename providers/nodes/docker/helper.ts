import type Docker from "dockerode";
import { ask } from "./engine.ts";
import { readableLog } from "./line.ts";
import { type Cluster, LABEL } from "./record.ts";

/** Runs a program in a container of its own, and waits for it. */
export async function runHelper(
  { engine, name }: Cluster,
  image: string,
  argv: readonly string[],
  host: Docker.HostConfig,
): Promise<{ code: number; text: string }> {
  const container = await ask(engine, "make a helper", () =>
    engine.docker.createContainer({
      Image: image,
      Entrypoint: [...argv],
      Cmd: [],
      User: "0",
      Healthcheck: { Test: ["NONE"] },
      Labels: { [LABEL.cluster]: name, [LABEL.kind]: "helper" },
      HostConfig: host,
    }),
  );
  try {
    await ask(engine, "start a helper", () => container.start());
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    if (StatusCode === 0) return { code: 0, text: "" };
    const bytes = (await container.logs({ stdout: true, stderr: true })) as unknown as Buffer;
    return { code: StatusCode, text: readableLog(bytes).trim().slice(-2_000) };
  } finally {
    await ask(engine, "remove a helper", () => container.remove({ force: true }));
  }
}
