import { type Dirent, readdirSync, realpathSync, statSync } from "node:fs";
import { join, relative, isAbsolute, resolve } from "node:path";
import { PgdbaError } from "../errors.ts";
import { readHead } from "../shared/read-file.ts";
import type { LayerName, RunbookOutline } from "../types.ts";
import { LIMITS } from "./limits.ts";
import type { Parsed } from "./parsed.ts";

/** The documents of a layer, known without reading its folder. Files are relative to the layer. */
export interface IndexFile {
  documents: Record<string, { kind: string; file: string; runbook?: Indexed }>;
}

type Indexed = Omit<RunbookOutline, "confirms"> & {
  specs: Readonly<Record<string, { confirms?: boolean } | null>>;
};

function outlineOf({ risk, needs, gives, specs }: Indexed): RunbookOutline {
  const confirms = Object.values(specs).some((spec) => spec?.confirms === true);
  return { risk, needs, gives, confirms };
}

export interface Layer {
  name: LayerName;
  dir: string;
  index?: IndexFile;
  /** Documents that were parsed when the bundle was built; asked for when the first is loaded. */
  parsed?: (() => Parsed) | undefined;
}

export interface LayerFiles {
  /** Document name to file, and its kind where the index gave it. */
  files: Map<string, { file: string; kind?: string; outline?: RunbookOutline | undefined }>;
  /** Name to why a file that looks like a document is none, for the error of whoever asks for it. */
  refused: Map<string, string>;
}

const NAME = /^[a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*$/;

export function isDocumentName(name: string): boolean {
  return name.length <= 200 && NAME.test(name);
}

/**
 * Every `*.yaml` below a layer's folder, at most `LIMITS.layerFiles` and `LIMITS.layerDepth`; names beginning with `_` or `.` and
 * links that lead out of the layer are left out. A folder that does not exist holds nothing, except when it was asked for
 * by name (`extra`).
 * @throws PgdbaError invalid_config | io_failed | limit_exceeded
 */
export function scanLayer({ name: layer, dir, index }: Layer): LayerFiles {
  const files: LayerFiles["files"] = new Map();
  const refused: LayerFiles["refused"] = new Map();
  if (index) {
    for (const [name, { kind, file, runbook }] of Object.entries(index.documents)) {
      const outline = runbook && outlineOf(runbook);
      files.set(name, { kind, file: resolve(dir, file), outline });
    }
    return { files, refused };
  }

  const root = attempt(() => realpathSync(dir), dir);
  if (root === undefined) {
    if (layer !== "extra") return { files, refused };
    throw new PgdbaError("invalid_config", `the runbook folder ${dir} does not exist`, {
      hint: "Create it, or name another folder.",
    });
  }
  let seen = 0;
  const visited = new Set<string>();

  const scan = (folder: string, prefix: string, level: number): void => {
    const real = attempt(() => realpathSync(folder), folder);
    // A link to a folder above it would otherwise give every document an endless row of names.
    if (real === undefined || visited.has(real)) return;
    visited.add(real);
    const entries = attempt(() => readdirSync(folder, { withFileTypes: true }), folder) ?? [];
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith("_") || entry.name.startsWith(".")) continue;
      if (++seen > LIMITS.layerFiles) {
        throw new PgdbaError(
          "limit_exceeded",
          `the runbook folder ${dir} holds more than ${LIMITS.layerFiles} files`,
          {
            hint: "Point to a folder that holds runbooks only.",
          },
        );
      }
      visit(join(folder, entry.name), prefix + entry.name, entry, level);
    }
  };

  const visit = (path: string, below: string, entry: Dirent, level: number): void => {
    const type = entry.isSymbolicLink() ? linked(path, root) : entry;
    if (type === "outside") {
      refused.set(below.replace(/\.ya?ml$/, ""), `${path} is a link that leads out of its layer`);
    } else if (type?.isDirectory()) {
      if (below.endsWith(".yaml")) refused.set(below.slice(0, -5), `${path} is a folder`);
      if (level < LIMITS.layerDepth) scan(path, `${below}/`, level + 1);
      else refused.set(below, `${path} is more than ${LIMITS.layerDepth} folders deep`);
    } else if (type?.isFile() && below.endsWith(".yaml")) {
      const name = below.slice(0, -".yaml".length);
      if (isDocumentName(name)) files.set(name, { file: path });
      else
        refused.set(
          name,
          `${path} is not named like a document: lower-case letters, digits and hyphens`,
        );
    } else if (type?.isFile() && below.endsWith(".yml")) {
      refused.set(below.slice(0, -".yml".length), `${path} ends in .yml; rename it to .yaml`);
    } else if (!type?.isFile() && below.endsWith(".yaml")) {
      const is = type === undefined ? "is a link that leads nowhere" : "is not a regular file";
      refused.set(below.slice(0, -".yaml".length), `${path} ${is}`);
    }
  };

  scan(dir, "", 1);
  return { files, refused };
}

/** The file or folder that a link leads to; undefined when it leads nowhere. */
function linked(path: string, root: string) {
  const real = attempt(() => realpathSync(path), path);
  if (real === undefined) return undefined;
  const inside = relative(root, real);
  if (inside === ".." || inside.startsWith("../") || isAbsolute(inside)) return "outside";
  return attempt(() => statSync(real), path);
}

/** `kind` and `extends` of a document, from its first 4 KiB and without parsing it. */
export function peek(file: string): { kind?: string; base?: string } {
  let head: string;
  try {
    head = readHead(file, 4096)?.toString("utf8") ?? "";
  } catch {
    // Loading it gives the error; a list still shows the name.
    return {};
  }
  const kind = /^\uFEFF?kind:[ \t]+(["']?)([a-z][a-z0-9_-]*)\1[ \t]*(?:#.*)?\r?$/m.exec(head)?.[2];
  const base = /^\uFEFF?extends:[ \t]+(["']?)([a-z][a-z0-9/-]*)\1[ \t]*(?:#.*)?\r?$/m.exec(
    head,
  )?.[2];
  return { ...(kind && { kind }), ...(base && { base }) };
}

/** Undefined for what is not there (any more). @throws PgdbaError io_failed */
function attempt<T>(read: () => T, path: string): T | undefined {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP") return undefined;
    throw new PgdbaError("io_failed", `can't read ${path}: ${code}`, {
      cause,
      hint: "Check that it is a folder and its permissions.",
    });
  }
}
