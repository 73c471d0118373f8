import { existsSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { PgdbaError } from "../../../engine/errors.ts";
import { readIfThere, readTextIfThere } from "../../../engine/shared/read-file.ts";

/** The way to one Docker Engine. */
export interface Engine {
  docker: Docker;
  /** In words, for errors. */
  where: string;
  /** The path of its socket, where it is reached by one on this machine. */
  socket: string | null;
  /** Its machine, where that is another one than this. */
  machine: string | null;
  /** Of pgdba itself, for programs that it runs. */
  env: Env;
}

type Env = Readonly<Record<string, string | undefined>>;

const SOCKET = "/var/run/docker.sock";
const MAX_CONFIG = 1024 * 1024;

/** The Engine that Docker's own client would use: DOCKER_HOST, the current context, or the socket of this machine. @throws PgdbaError invalid_config */
export function openEngine(env: Env): Engine {
  const host = env["DOCKER_HOST"] || hostOfContext(env);
  if (host === undefined || host === "") return atSocket(usualSocket(env), env);
  const url = URL.parse(host);
  if (url?.protocol === "unix:") return atSocket(decodeURIComponent(url.pathname), env);
  if (url?.protocol === "tcp:" || url?.protocol === "http:" || url?.protocol === "https:")
    return atHost(url, env);
  throw new PgdbaError("invalid_config", `${host} names no Docker Engine that can be reached`, {
    hint: "Set DOCKER_HOST to unix:///path or tcp://host:port. To one behind ssh: `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`, then unix:///tmp/docker.sock.",
    nothingDone: true,
  });
}

function atSocket(socket: string, env: Env): Engine {
  const docker = new Docker({ socketPath: socket });
  return { docker, where: `the socket ${socket}`, socket, machine: null, env };
}

function atHost(url: URL, env: Env): Engine {
  const tls = url.protocol === "https:" || Boolean(env["DOCKER_TLS_VERIFY"]);
  const folder = env["DOCKER_CERT_PATH"] ?? join(env["HOME"] ?? "/", ".docker");
  const file = (name: string) =>
    tls
      ? readIfThere(join(folder, name), { maxBytes: MAX_CONFIG, code: "invalid_config" })
      : undefined;
  const [ca, cert, key] = [file("ca.pem"), file("cert.pem"), file("key.pem")];
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const docker = new Docker({
    host,
    port: Number(url.port || (tls ? 2376 : 2375)),
    protocol: tls ? "https" : "http",
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
  });
  const machine = isLoopback(host) ? null : host;
  return { docker, where: url.host, socket: null, machine, env };
}

/** Addresses that lead to the machine itself. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function usualSocket(env: Env): string {
  const others = [
    ...(env["XDG_RUNTIME_DIR"] ? [join(env["XDG_RUNTIME_DIR"], "docker.sock")] : []),
    ...(env["HOME"] ? [join(env["HOME"], ".docker/run/docker.sock")] : []),
  ];
  return [SOCKET, ...others].find((path) => existsSync(path)) ?? SOCKET;
}

/** The address of the context that `docker context use` chose; undefined for the default one. */
function hostOfContext(env: Env): string | undefined {
  const folder = env["DOCKER_CONFIG"] ?? (env["HOME"] ? join(env["HOME"], ".docker") : undefined);
  if (folder === undefined) return undefined;
  const read = (path: string): unknown => {
    const text = readTextIfThere(path, { maxBytes: MAX_CONFIG });
    try {
      return text === undefined ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  const config = read(join(folder, "config.json")) as { currentContext?: string } | undefined;
  const name = env["DOCKER_CONTEXT"] ?? config?.currentContext;
  if (name === undefined || name === "" || name === "default") return undefined;
  const id = new Bun.CryptoHasher("sha256").update(name).digest("hex");
  const meta = read(join(folder, "contexts/meta", id, "meta.json")) as
    | { Endpoints?: { docker?: { Host?: string } } }
    | undefined;
  const host = meta?.Endpoints?.docker?.Host;
  if (host !== undefined) return host;
  throw new PgdbaError("invalid_config", `There is no Docker context ${name}`, {
    hint: "Choose one of `docker context ls`, or set DOCKER_HOST.",
    nothingDone: true,
  });
}

/** The HTTP status by which the Engine refused; undefined when it did not answer. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown };
  return typeof statusCode === "number" ? statusCode : undefined;
}

/** The Engine's own words. */
function saidBy(error: unknown): string {
  const { json, message } = error as { json?: { message?: string } | null; message?: string };
  return (json?.message ?? message ?? String(error)).trim();
}

/** Asks the Engine. `doing` says for what, such as `start X-pg1`. @throws PgdbaError connection_failed | command_failed */
export async function ask<T>(engine: Engine, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw engineError(engine, doing, error);
  }
}

/** An Engine that answers at all tells of a container within this, also on a busy machine; one that hangs must hold nobody up for ever. */
const LOOK_MS = 10_000;

/** What a question to the Engine is given, whose answer is there at once. */
export const soon = () => ({ abortSignal: AbortSignal.timeout(LOOK_MS) });

export function engineError(engine: Engine, doing: string, error: unknown): Error {
  if (error instanceof PgdbaError) return error;
  const status = statusOf(error);
  if (status !== undefined) {
    return new PgdbaError(
      "command_failed",
      `The Docker Engine would not ${doing}: ${saidBy(error)}`,
      {
        hint: "Correct what it says, and run again.",
        cause: error,
        data: { status },
      },
    );
  }
  const { code } = error as { code?: string };
  // Whatever keeps an answer away has one: the socket, a name that is not found, TLS, an abort.
  if (code === undefined) return error as Error;
  const denied = code === "EACCES" || code === "EPERM";
  return new PgdbaError(
    "connection_failed",
    denied
      ? `This account may not use the Docker Engine at ${engine.where}`
      : `No Docker Engine answers at ${engine.where}`,
    {
      hint: denied
        ? "Run pgdba as root or as a member of the group `docker`, or set DOCKER_HOST to an Engine of your own."
        : "Start Docker (`systemctl start docker`), or set DOCKER_HOST to where one is: unix:///path or tcp://host:port.",
      cause: error,
      retryable: !denied,
    },
  );
}
