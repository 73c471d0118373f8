/** PostgreSQL's list of the files of a base backup. Format: PostgreSQL documentation, "Backup Manifest Format". It is read line by line, for it may be large. */
import { damaged } from "./damaged.ts";

export interface ManifestFile {
  path: string;
  bytes: number;
  /** Hex. */
  sha256: string;
}

export interface ManifestWal {
  timeline: number;
  start: string;
  end: string;
}

export interface ManifestFacts {
  files: number;
  /** Of all files together. */
  bytes: number;
  wal: ManifestWal[];
  systemIdentifier: string | null;
}

const MAX_LINE = 64 * 1024;
const NEWLINE = 10;

/** @throws PgdbaError backup_damaged */
export async function readManifest(
  bytes: AsyncIterable<Uint8Array>,
  what: string,
  onFile: (file: ManifestFile) => void = () => {},
): Promise<ManifestFacts> {
  const hash = new Bun.CryptoHasher("sha256");
  const facts: ManifestFacts = { files: 0, bytes: 0, wal: [], systemIdentifier: null };
  let stated: string | undefined;
  for await (const line of lines(bytes, what)) {
    if (stated !== undefined) throw damaged(what, "something follows its last line");
    const text = line.toString("utf8").trim();
    const checksum = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/.exec(text);
    if (checksum) {
      stated = checksum[1]!;
      continue;
    }
    hash.update(line);
    facts.systemIdentifier ??= /^"System-Identifier": (\d+),$/.exec(text)?.[1] ?? null;
    const part = /^\{ "(Path|Encoded-Path|Timeline)"/.exec(text);
    if (!part) continue;
    const entry = parsed(text.replace(/,$/, ""), what);
    if (part[1] === "Timeline") facts.wal.push(walOf(entry));
    else {
      const file = fileOf(entry, what);
      facts.files += 1;
      facts.bytes += file.bytes;
      onFile(file);
    }
  }
  if (stated === undefined)
    throw damaged(what, "its last line, with the checksum of the others, is missing");
  if (stated !== hash.digest("hex")) throw damaged(what, "it does not match its own checksum");
  return facts;
}

/** With their ends, for these are a part of what the checksum is made of. */
async function* lines(bytes: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const piece of bytes) {
    const all =
      rest.length === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.length)
        : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = all.indexOf(NEWLINE); end !== -1; end = all.indexOf(NEWLINE, from)) {
      yield all.subarray(from, end + 1);
      from = end + 1;
    }
    rest = Buffer.from(all.subarray(from));
    if (rest.length > MAX_LINE) throw damaged(what, "a line has no end");
  }
  if (rest.length > 0) yield rest;
}

function parsed(text: string, what: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(what, "a line of it is no JSON", cause);
  }
}

function walOf(entry: Record<string, unknown>): ManifestWal {
  return {
    timeline: Number(entry["Timeline"]),
    start: String(entry["Start-LSN"]),
    end: String(entry["End-LSN"]),
  };
}

function fileOf(entry: Record<string, unknown>, what: string): ManifestFile {
  const encoded = entry["Encoded-Path"];
  const path =
    typeof encoded === "string" ? Buffer.from(encoded, "hex").toString("utf8") : entry["Path"];
  const { Size: bytes, Checksum: sha256 } = entry;
  const algorithm = entry["Checksum-Algorithm"];
  if (typeof path !== "string" || typeof bytes !== "number" || typeof sha256 !== "string")
    throw damaged(what, "a file of it lacks its name, its size or its checksum");
  if (algorithm !== "SHA256")
    throw damaged(
      what,
      `the checksum of ${path} is ${String(algorithm)}, and pgdba asks for SHA256`,
    );
  return { path, bytes, sha256: sha256.toLowerCase() };
}
