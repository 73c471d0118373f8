/** The programs of PostgreSQL in a container of our own, for a machine that has none. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { SpawnOptions, SpawnResult } from "../../../engine/types.ts";
import type { By } from "../contract.ts";
import { attach } from "./attached.ts";
import { ask, isLoopback, openEngine } from "./engine.ts";
import { execIn } from "./exec.ts";
import { ownImage } from "./images/build.ts";
import { PACKAGED } from "./images/recipe.ts";
import { LABEL } from "./record.ts";

export interface ContainerPrograms {
  folder: string;
  /** In words. */
  where: string;
  run(argv: string[], options?: SpawnOptions): Promise<SpawnResult>;
  /** Puts a small file there that only the programs' user reads; gives its path. */
  put(name: string, content: string): Promise<string>;
  end(): Promise<void>;
}

const USER = "postgres";
const NAME = /^[a-z][a-z.]*$/;

/**
 * Of the least major version that an image can be made with and that is not below `major`. The container is on this machine's network, and ends with this process.
 * @throws PgdbaError unsupported (no such version, or no way from there to `host`) | connection_failed: no Engine answers | command_failed
 */
export async function containerPrograms(
  major: number,
  { host, env, by }: { host: string; env: Readonly<Record<string, string | undefined>>; by: By },
): Promise<ContainerPrograms> {
  const version = PACKAGED.find((one) => one >= major);
  if (version === undefined)
    throw new PgdbaError("unsupported", `there is no image with PostgreSQL ${major} or newer`, {
      hint: `Images have ${PACKAGED.join(", ")}.`,
      nothingDone: true,
    });
  const engine = openEngine(env);
  await ask(engine, "ask for its version", () => engine.docker.version());
  if (host.startsWith("/") || (engine.machine !== null && isLoopback(host)))
    throw new PgdbaError("unsupported", `a container of ${engine.where} does not reach ${host}`, {
      hint: "Name the server by an address that is reached from there.",
      nothingDone: true,
    });
  const image = await ask(engine, "have the image with the client programs", () =>
    ownImage(engine, "postgres", version, by),
  );
  const container = await attach(engine, {
    image,
    labels: { [LABEL.run]: by.run, [LABEL.kind]: "helper" },
    host: { NetworkMode: "host" },
    passing: true,
  });
  const at = { engine, id: container.id, node: "a container with client programs", by };
  const run = async (
    argv: string[],
    { outlives: _outlives, ...options }: SpawnOptions = {},
  ): Promise<SpawnResult> => {
    const result = await execIn(at, argv, { ...options, user: USER, cwd: "/" });
    if (result.unknown === undefined) return result;
    throw new PgdbaError(
      "connection_failed",
      `Nobody knows how ${argv[0]} ended in a container: ${result.unknown}`,
      { hint: "Look at the Docker Engine, then run again.", retryable: true },
    );
  };
  return {
    folder: `/usr/lib/postgresql/${version}/bin`,
    where: `in a container of ${image}`,
    run,
    async put(name, content) {
      if (!NAME.test(name)) throw new Error(`${name} is no such name`);
      const path = `/tmp/${name}`;
      const argv = ["sh", "-c", `umask 077; cat >${path}`];
      const { exit_code, stderr } = await run(argv, { stdin: content });
      if (exit_code === 0) return path;
      throw new PgdbaError(
        "command_failed",
        `${path} can't be written in the container: ${stderr}`,
        {
          hint: "Look at the Docker Engine: its disk may be full.",
        },
      );
    },
    end: () => container.end(),
  };
}
