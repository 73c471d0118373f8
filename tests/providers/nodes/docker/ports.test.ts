/** Ports that somebody has, as a refused start of a container is told from any other refusal. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Engine, openEngine, statusOf } from "../../../../providers/nodes/docker/engine.ts";
import { choosePorts, isAnyTaken } from "../../../../providers/nodes/docker/ports.ts";
import { anyImage, docker, dockerMissing } from "../../../support/docker.ts";

const missing = dockerMissing();
const HERE = "127.0.0.1";

describe.skipIf(missing !== null)(`ports${missing === null ? "" : ` (${missing})`}`, () => {
  const engine = openEngine(process.env);
  /** The same Engine, reached like one of another machine: nothing can be tried by listening there. */
  const remote: Engine = { ...engine, socket: null };
  const name = `ports-${crypto.randomUUID().slice(0, 8)}`;
  let image: string;
  let port: number;

  const make = (suffix: string, of: number) => {
    const publish = ["-p", `${HERE}:${of}:80`];
    // An image of pgdba starts its own program with whatever words follow.
    return docker(
      "create",
      "--name",
      `${name}-${suffix}`,
      ...publish,
      "--entrypoint",
      "sleep",
      image,
      "1d",
    );
  };
  const start = (suffix: string) => engine.docker.getContainer(`${name}-${suffix}`).start();
  const refusal = async (suffix: string) =>
    statusOf(
      await start(suffix).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );

  beforeAll(async () => {
    image = await anyImage();
    [port] = Object.values(
      await choosePorts(engine, [80], { address: HERE, taken: new Set() }),
    ) as [number];
  });
  afterAll(async () => {
    const names = (await docker("ps", "-aq", "--filter", `name=^${name}-`))
      .split("\n")
      .filter(Boolean);
    if (names.length > 0) await docker("rm", "-f", ...names);
  });

  test.each([
    ["here", engine],
    ["on another machine", remote],
  ] as const)("one that a container or a program has is taken, %s", async (_where, at) => {
    expect(await isAnyTaken(at, HERE, [port])).toBe(false);
    const listener = Bun.listen({ hostname: HERE, port, socket: { data() {} } });
    expect(await isAnyTaken(at, HERE, [port])).toBe(true);
    listener.stop(true);
    expect(await isAnyTaken(at, HERE, [port])).toBe(false);
  });

  test("a start is refused for a port with the status of any other refusal, and who has it tells", async () => {
    await make("has", port);
    await start("has");
    await make("wants", port);
    expect(await refusal("wants")).toBe(500);
    expect(await isAnyTaken(remote, HERE, [port + 1, port])).toBe(true);
    await docker("rm", "-f", `${name}-has`);
    expect(await isAnyTaken(remote, HERE, [port])).toBe(false);
    await start("wants");
  });
});
