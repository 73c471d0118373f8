import { createReadStream } from "node:fs";
import {
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  chmod,
  lchown,
} from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { errnoOf, otherKind } from "../../../engine/shared/read-file.ts";
import { fileError, syncFolder, writeWhole } from "../../../engine/shared/write-file.ts";
import type { Sink } from "../../../engine/types.ts";
import type { By, Content, Files } from "../contract.ts";
import type { At } from "./at.ts";
import { accountOn } from "./account.ts";
import { execIn } from "./exec.ts";
import script from "./node/files.py" with { type: "text" };
import { besideOf, ByteReader, type Entry } from "./tree.ts";
import { assertAbsolute } from "../absolute.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export function filesOf(by: By, at: (node: string) => Promise<At>): Files {
  return {
    async put(node, path, from, options = {}) {
      assertAbsolute(path);
      const on = await at(node);
      const owner = options.owner ?? on.layout.user;
      await accountOn(on, owner.split(":")[0]!);
      const { mode = FILE_MODE, folderMode = FOLDER_MODE, replace = false } = options;
      const question = { verb: "put", path, owner, mode, folderMode, replace };
      if ("content" in from) return send(on, { ...question, what: "file" }, partsOf(from.content));
      const source = await lstat(from.local).catch((error: unknown) => {
        throw fileError(from.local, error);
      });
      if (source.isDirectory())
        return send(on, { ...question, what: "tree" }, entriesOf(from.local, by.signal));
      return send(on, { ...question, what: "file" }, createReadStream(from.local));
    },
    async get(node, path, to) {
      assertAbsolute(path);
      const on = await at(node);
      if ("sink" in to) return fetch(on, { verb: "get", path, what: "file" }, to.sink);
      await assertFree(to.local);
      await fetchTo(on, path, to.local);
    },
  };
}

type Question = { path: string } & Record<string, unknown>;

async function send(on: At, question: Question, content: AsyncIterable<Uint8Array>): Promise<void> {
  async function* input() {
    yield Buffer.from(`${JSON.stringify(question)}\n`);
    yield* content;
  }
  try {
    await asked(on, question.path, { stdin: input() });
  } catch (error) {
    throw error instanceof PgdbaError ? error : fileError(question.path, error);
  }
}

function fetch(on: At, question: Question, sink: Sink): Promise<void> {
  return asked(on, question.path, { stdin: `${JSON.stringify(question)}\n`, onStdout: sink });
}

async function asked(
  on: At,
  path: string,
  options: { stdin: string | AsyncIterable<Uint8Array>; onStdout?: Sink },
): Promise<void> {
  const argv = ["python3", "-I", "-S", "-c", script];
  const { exit_code, signal, stderr, unknown } = await on.work(false, (place) =>
    execIn({ ...place, by: { signal: on.by.signal } }, argv, { user: "0", cwd: "/", ...options }),
  );
  if (exit_code === 0) return;
  if (exit_code === null) {
    throw new PgdbaError(
      "connection_failed",
      `Nobody knows how far ${path} came: ${unknown ?? signal}`,
      {
        hint: "Look at the node, and do it again.",
        retryable: true,
      },
    );
  }
  throw refusal(on, path, stderr);
}

function refusal({ record }: At, path: string, stderr: string): PgdbaError {
  let told: { errno?: string; what?: string; account?: string };
  try {
    told = JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as typeof told;
  } catch {
    return new PgdbaError("io_failed", `${path} on ${record.node}: ${stderr.trim().slice(-500)}`, {
      hint: "Look at the node.",
    });
  }
  if (told.account !== undefined) {
    return new PgdbaError("unsupported", `There is no account ${told.account} on ${record.node}`, {
      hint: "Name one of its /etc/passwd, and a group of its /etc/group.",
      nothingDone: true,
    });
  }
  if (told.what !== undefined) {
    return new PgdbaError("io_failed", `${path} on ${record.node}: ${told.what}`, {
      hint: "Name another path, or say that it is to be replaced.",
      nothingDone: true,
    });
  }
  return fileError(path, Object.assign(new Error(told.errno), { code: told.errno }));
}

async function* partsOf(content: Content): AsyncIterable<Uint8Array> {
  if (typeof content === "string") yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** A local folder as it travels. */
async function* entriesOf(
  from: string,
  signal: AbortSignal,
  below = "",
): AsyncIterable<Uint8Array> {
  const path = join(from, below);
  signal.throwIfAborted();
  const found = await lstat(path);
  const line = (entry: object) => Buffer.from(`${JSON.stringify({ path: below, ...entry })}\n`);
  if (found.isSymbolicLink()) yield line({ type: "link", to: await readlink(path) });
  else if (found.isDirectory()) {
    yield line({ type: "folder" });
    for (const name of await readdir(path))
      yield* entriesOf(from, signal, below === "" ? name : `${below}/${name}`);
  } else {
    const other = otherKind(found);
    if (other !== undefined) {
      throw new PgdbaError("io_failed", `${path} is ${other}: it can't be copied`, {
        hint: "Copy a folder of files, or leave this one out.",
      });
    }
    const { size } = found;
    yield line({ type: "file", size });
    // No more than was announced, also of one that grows meanwhile.
    if (size > 0) yield* createReadStream(path, { end: size - 1 });
  }
}

/** A file or folder of the node to a local path where nothing is. */
async function fetchTo(on: At, path: string, local: string): Promise<void> {
  const bytes = new ByteReader();
  const coming = fetch(on, { verb: "get", path, what: "any" }, (part) => bytes.push(part));
  coming.then(
    () => bytes.end(),
    (error: unknown) => bytes.end(error),
  );
  const draft = besideOf(local);
  try {
    const { folder, mode } = JSON.parse(await bytes.line()) as { folder: boolean; mode: number };
    if (!folder) {
      await writeWhole(local, bytes.rest(), { mode: mode & 0o777 });
      return await coming;
    }
    await rm(draft, { recursive: true, force: true });
    await takeTree(bytes, draft);
    await coming;
    await rename(draft, local);
    await syncFolder(dirname(local));
  } catch (error) {
    bytes.cancel();
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    // The node's own word counts.
    await coming;
    throw errnoOf(error) === undefined ? error : fileError(local, error);
  }
}

async function takeTree(bytes: ByteReader, to: string): Promise<void> {
  const folders: Entry[] = [];
  const own = async (path: string, { uid, gid }: Entry) => {
    if (geteuid?.() === 0) await lchown(path, uid, gid);
  };
  for (;;) {
    const line = await bytes.line();
    if (line === "") break;
    const entry = JSON.parse(line) as Entry;
    if (isAbsolute(entry.path) || entry.path.split("/").includes(".."))
      throw new PgdbaError("io_failed", `${entry.path} leads out of its folder`, {
        hint: "Look at the node.",
      });
    const path = join(to, entry.path);
    if (entry.type === "folder") {
      await mkdir(path, { mode: 0o700 });
      folders.push(entry);
    } else if (entry.type === "link") {
      await symlink(entry.to, path);
      await own(path, entry);
    } else {
      await writeWhole(path, bytes.part(entry.size), { mode: entry.mode & 0o777 });
      await own(path, entry);
    }
  }
  for (const entry of folders.toReversed()) {
    const path = join(to, entry.path);
    await own(path, entry);
    await chmod(path, entry.mode & 0o7777);
    await syncFolder(path);
  }
}

async function assertFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return;
  throw new PgdbaError("io_failed", `${path} is there already`, {
    hint: "Name a path where nothing is yet.",
    nothingDone: true,
  });
}
