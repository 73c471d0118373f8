import { createReadStream } from "node:fs";
import { lstat, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { getegid, geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { errnoOf } from "../../../engine/shared/read-file.ts";
import { partsUntil } from "../../../engine/shared/until.ts";
import { fileError, syncFolder, writeWhole } from "../../../engine/shared/write-file.ts";
import type { By, Content, FileOptions, Files } from "../contract.ts";
import { accountOf } from "./exec.ts";
import { type Home, nodeOf } from "./home.ts";
import { copyTree } from "./tree.ts";
import { assertAbsolute } from "../absolute.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The nodes' files are files of this machine. */
export function filesOf(home: Home, by: By): Files {
  return {
    async put(node, path, from, options = {}) {
      await nodeOf(home, node);
      assertAbsolute(path);
      const owner = await ownerOf(home, options);
      const { mode = FILE_MODE } = options;
      if ("content" in from) return putFile(path, partsOf(from.content, by), mode, owner);
      const source = await lstat(from.local).catch((error: unknown) => {
        throw fileError(from.local, error);
      });
      if (source.isDirectory()) return putTree(from.local, path, { ...options, by }, owner);
      return putFile(path, createReadStream(from.local), mode, owner);
    },
    async get(node, path, to) {
      await nodeOf(home, node);
      assertAbsolute(path);
      const found = await lstat(path).catch((error: unknown) => {
        throw fileError(path, error);
      });
      if ("local" in to) {
        await assertFree(to.local);
        if (found.isDirectory()) return getTree(path, to.local, by);
        return putFile(to.local, createReadStream(path), found.mode & 0o777, undefined);
      }
      if (!found.isFile()) {
        throw new PgdbaError("io_failed", `${path} is not a file`, {
          hint: "Get a folder to a local path.",
        });
      }
      try {
        for await (const part of createReadStream(path)) {
          by.signal.throwIfAborted();
          await to.sink(part as Uint8Array);
        }
      } catch (error) {
        throw errnoOf(error) === undefined ? error : fileError(path, error);
      }
    },
  };
}

/** A whole content is written at once; a stream is read as it comes. */
function partsOf(content: Content, { signal }: By): string | Buffer | AsyncIterable<Uint8Array> {
  if (typeof content === "string") return content;
  return content instanceof Uint8Array ? Buffer.from(content) : partsUntil(content, signal);
}

async function putFile(
  path: string,
  content: string | Buffer | AsyncIterable<Uint8Array>,
  mode: number,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  await writeWhole(path, content, { mode, owner });
}

async function putTree(
  local: string,
  path: string,
  { mode, folderMode = FOLDER_MODE, replace = false, by }: FileOptions & { by: By },
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  const draft = besides(path, "new");
  const aside = besides(path, "old");
  if (!replace) await assertFree(path);
  try {
    await rm(draft, { recursive: true, force: true });
    const options = { owner, mode: mode ?? FILE_MODE, folderMode, sync: true, signal: by.signal };
    await copyTree(local, draft, options);
    // Left by one that was killed between the two renames below: what is at `path` by now took its place.
    if (await exists(path)) {
      await rm(aside, { recursive: true, force: true });
      await rename(path, aside);
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    if (!(await exists(path)) && (await exists(aside))) await rename(aside, path);
    throw errnoOf(error) === undefined ? error : fileError(path, error);
  }
}

async function getTree(path: string, local: string, by: By): Promise<void> {
  const draft = besides(local, "new");
  try {
    await rm(draft, { recursive: true, force: true });
    await copyTree(path, draft, { sync: true, signal: by.signal });
    await rename(draft, local);
    await syncFolder(dirname(local));
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    throw errnoOf(error) === undefined ? error : fileError(local, error);
  }
}

/** Always the same name, so that one who comes after a crash finds and removes it. */
const besides = (path: string, what: "new" | "old"): string =>
  join(dirname(path), `.pgdba-${basename(path)}.${what}`);

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function assertFree(path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new PgdbaError("io_failed", `${path} is there already`, {
    hint: "Name a path where nothing is yet, or say that it is to be replaced.",
    nothingDone: true,
  });
}

/** @throws PgdbaError unsupported */
async function ownerOf(
  home: Home,
  { owner }: FileOptions,
): Promise<{ uid: number; gid: number } | undefined> {
  if (owner === undefined) return home.user ?? undefined;
  const [name = "", group] = owner.split(":");
  const account = await accountOf(name);
  const ids = account ?? { uid: geteuid!(), gid: getegid!() };
  if (group === undefined) return { uid: ids.uid, gid: ids.gid };
  const lines = (await readFile("/etc/group", "utf8").catch(() => "")).split("\n");
  const entry = lines.map((line) => line.split(":")).find((fields) => fields[0] === group);
  if (entry === undefined) {
    throw new PgdbaError("unsupported", `There is no group ${group} on this machine`, {
      hint: "Name one of /etc/group.",
      nothingDone: true,
    });
  }
  return { uid: ids.uid, gid: Number(entry[2]) };
}
