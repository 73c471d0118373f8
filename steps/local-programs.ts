/** PostgreSQL's client programs of this machine, and how they log in to the server of a target. */
import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import type { StepContext } from "../engine/types.ts";
import type { Runs } from "../providers/backup/logical/programs.ts";
import type {} from "../providers/target/access.ts";

/** Where packages put the programs of each version side by side. */
const PARENTS = [
  "/usr/lib/postgresql",
  "/usr",
  "/usr/local",
  "/opt/homebrew/opt",
  "/usr/local/opt",
];
const FOLDER = /^(\d+|pgsql(-\d+)?|postgresql@\d+)$/;

/** Where this machine may have them: the folders of packages, then those of PATH. */
export async function programFolders(ctx: StepContext): Promise<string[]> {
  const path = (ctx.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  const packaged = await Promise.all(
    PARENTS.map(async (parent) =>
      (await readdir(parent).catch(() => []))
        .filter((name) => FOLDER.test(name))
        .map((name) => join(parent, name, "bin")),
    ),
  );
  return [...new Set([...packaged.flat(), ...path])];
}

/** Runs one of them: a service, an option or a password of whoever started us must not lead it elsewhere. */
export function runsHere(ctx: StepContext): Runs {
  const inherited = Object.keys(ctx.env).filter((name) => /^PG(?!DBA_)[A-Z]/.test(name));
  return (argv, options) => {
    const unset = inherited.filter((name) => options?.env?.[name] === undefined);
    return ctx.spawn(["env", ...unset.flatMap((name) => ["-u", name]), ...argv], options);
  };
}

/** The server that a program of this machine is to ask, which of a cluster is the primary. */
export async function placeOfServer(ctx: StepContext): Promise<{ host: string; port: number }> {
  const { facts } = await ctx.target.facts();
  const { spec } = await ctx.use("postgres");
  return {
    host: typeof facts["host"] === "string" ? facts["host"] : spec.host,
    port: typeof facts["port"] === "number" ? facts["port"] : spec.port,
  };
}

/** The environment by which a program of this machine logs in as we do. Whoever asked calls `removePassfile` in the end. */
export async function loginOf(ctx: StepContext): Promise<Record<string, string>> {
  const postgres = await ctx.use("postgres");
  const { host, port } = await placeOfServer(ctx);
  const { sslmode, sslrootcert, user } = postgres.spec;
  const file = passfileOf(ctx);
  const hasPassword = await postgres.passfile(file);
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGSSLMODE: sslmode,
    ...(sslrootcert === undefined ? {} : { PGSSLROOTCERT: sslrootcert }),
    // Without one, nobody's own file is asked: who logs in is the target's to say.
    PGPASSFILE: hasPassword ? file : "/dev/null",
    ...common(ctx),
  };
}

/** For undo and forget: what a process that was killed has left. */
export async function removePassfile(ctx: StepContext): Promise<void> {
  await rm(passfileOf(ctx), { force: true });
}

export function passfileOf(ctx: StepContext): string {
  const name = createHash("sha256")
    .update(`${ctx.run.id} ${ctx.step.path}`)
    .digest("hex")
    .slice(0, 16);
  return join(ctx.run.stateDir, "tmp", `login-${name}`);
}

/** However they reach a server. */
export const common = (ctx: StepContext) => ({
  PGAPPNAME: `pgdba/${ctx.run.id}`,
  PGCONNECT_TIMEOUT: "10",
  PGCLIENTENCODING: "UTF8",
});
