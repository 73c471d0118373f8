/** The client programs for the server of a target, and how they log in. */
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { readText } from "../../engine/shared/read-file.ts";
import type { StepContext } from "../../engine/types.ts";
import {
  fittingPrograms,
  majorOf,
  type Programs,
  programsIn,
  weakness,
} from "../../providers/backup/logical/programs.ts";
import {
  common,
  loginOf,
  passfileOf,
  placeOfServer,
  programFolders,
  removePassfile,
  runsHere,
} from "../local-programs.ts";
import { runsOn } from "./node-runs.ts";

export interface Client {
  programs: Programs;
  env: Record<string, string>;
  /** Where the programs run: on the server's node, on this machine, or in a container on its network. */
  where: "node" | "here" | "container";
  /** Of a container: puts a small file there that the programs read; gives its path. */
  put?(name: string, content: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * The programs (of the major version `least` at least) of the server's own node where a provider reaches it, for those fit; else of this machine, else of a container.
 * @throws PgdbaError unsupported
 */
export async function clientOf(ctx: StepContext, least = 0): Promise<Client> {
  const server = await serverOf(ctx, least);
  const postgres = await ctx.use("postgres");
  const onNode = await nodePrograms(ctx, server.member);
  if (onNode?.programs.some(isFor(server))) {
    const programs = fittingPrograms(onNode.programs, server);
    warnOf(ctx, programs);
    const env = {
      PGHOST: onNode.address.host,
      PGPORT: String(onNode.address.port),
      PGUSER: postgres.spec.user,
      ...common(ctx),
    };
    return { programs, env, where: "node", close: async () => {} };
  }
  const local = [...(onNode?.programs ?? []), ...(await localPrograms(ctx))];
  let programs: Programs;
  try {
    programs = fittingPrograms(local, server);
  } catch (error) {
    return inContainer(ctx, server, toPgdbaError(error));
  }
  warnOf(ctx, programs);
  return {
    programs,
    env: await loginOf(ctx),
    where: "here",
    close: () => removePassfile(ctx),
  };
}

/** The programs of a node for its own server; null where it has none that fit, or is not reached. */
export async function programsOf(ctx: StepContext, node: string): Promise<Programs | null> {
  const found = await nodePrograms(ctx, node);
  return found?.programs.find(isFor(await serverOf(ctx, 0))) ?? null;
}

const isFor =
  ({ version_num }: { version_num: number }) =>
  ({ version }: Programs) =>
    majorOf(version) >= majorOf(version_num);

/**
 * Of a container that lives as long as this process, where a Docker Engine is reached.
 * @throws PgdbaError unsupported, with what is missing on this machine and why no container does it
 */
async function inContainer(
  ctx: StepContext,
  server: Awaited<ReturnType<typeof serverOf>>,
  missing: PgdbaError,
): Promise<Client> {
  const { containerPrograms } = await import("../../providers/nodes/docker/programs.ts");
  const postgres = await ctx.use("postgres");
  const container = await containerPrograms(Math.floor(server.version_num / 10_000), {
    host: server.host,
    env: ctx.env,
    by: {
      run: ctx.run.id,
      path: ctx.step.path,
      signal: ctx.signal,
      progress: (progress) => ctx.progress(progress),
      log: (message) => ctx.log(message),
    },
  }).catch((error: unknown) => {
    ctx.signal.throwIfAborted();
    const { message } = toPgdbaError(error);
    throw new PgdbaError("unsupported", `${missing.message}; and ${message}`, {
      hint: `${missing.hint} Or have a Docker Engine reached from here: pgdba takes them from a container then.`,
      cause: error,
      nothingDone: true,
    });
  });
  try {
    const found = await programsIn([container.folder], () => container.where, container.run);
    const programs = fittingPrograms(found, server);
    warnOf(ctx, programs);
    const { sslmode, sslrootcert, user } = postgres.spec;
    const file = passfileOf(ctx);
    const hasPassword = await postgres.passfile(file);
    const put = async (name: string, from: string) =>
      container.put(name, readText(from, { maxBytes: 1024 * 1024 }));
    const env = {
      PGHOST: server.host,
      PGPORT: String(server.port),
      PGUSER: user,
      PGSSLMODE: sslmode,
      ...(sslrootcert === undefined ? {} : { PGSSLROOTCERT: await put("root.crt", sslrootcert) }),
      PGPASSFILE: hasPassword ? await put("pgpass", file) : "/dev/null",
      ...common(ctx),
    };
    await removePassfile(ctx);
    return {
      programs,
      env,
      where: "container",
      put: (name, content) => container.put(name, content),
      close: () => container.end(),
    };
  } catch (error) {
    await removePassfile(ctx);
    await container.end();
    throw error;
  }
}

function warnOf(ctx: StepContext, programs: Programs): void {
  const why = weakness(programs);
  if (why !== null) ctx.warn(why);
}

async function serverOf(ctx: StepContext, least: number) {
  const { facts } = await ctx.target.facts();
  const postgres = await ctx.use("postgres");
  const { info } = await postgres.session();
  return {
    version_num: Math.max(info.version_num, least * 10_000),
    what: least * 10_000 > info.version_num ? "the dump" : ctx.target.name,
    ...(await placeOfServer(ctx)),
    member: typeof facts["member"] === "string" ? facts["member"] : null,
  };
}

/** Null where no provider reaches the node. */
async function nodePrograms(ctx: StepContext, member: string | null) {
  const { capabilities } = await ctx.target.facts();
  if (member === null || !capabilities.includes("nodes")) return null;
  const nodes = await ctx.use("nodes");
  const info = (await nodes.list()).find(({ node }) => node === member);
  const { postgres } = await nodes.facts(member);
  if (!info?.address || postgres === null) return null;
  const programs = await programsIn([postgres.bin], () => `on ${member}`, runsOn(nodes, member));
  return { programs, address: info.address };
}

async function localPrograms(ctx: StepContext): Promise<Programs[]> {
  return programsIn(await programFolders(ctx), (folder) => `in ${folder}`, runsHere(ctx));
}
