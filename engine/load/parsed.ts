import type { Json, JsonObject } from "../types.ts";
import { readBytes } from "../shared/read-file.ts";
import { LIMITS } from "./limits.ts";

/** Documents as they were when the bundle was built, by name: the digest of the file, and what it says. */
export type Parsed = Record<string, { digest: string; data: JsonObject }>;

/** The data of a file that reads as it did when the bundle was built; undefined for any other, which is to be parsed. */
export function unchanged(
  { digest, data }: Parsed[string],
  file: string,
): { digest: string; data: JsonObject } | undefined {
  let bytes: Buffer;
  try {
    bytes = readBytes(file, { maxBytes: LIMITS.bytes });
  } catch {
    // Parsing it gives the error.
    return undefined;
  }
  const now = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  return now === digest ? { digest, data: bare(data) as JsonObject } : undefined;
}

/** As what is parsed from YAML: its maps have no prototype, so that no key can reach one. */
function bare(value: Json): Json {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(bare);
  const object: JsonObject = Object.create(null);
  for (const [key, entry] of Object.entries(value)) object[key] = bare(entry);
  return object;
}
