import type { JsonObject } from "../../../engine/types.ts";
import type { DcsSpec } from "../contract.ts";

/** A key with its value, and the revision of its last change; the lease is `0` where it has none. */
export interface Kept {
  key: string;
  value: string;
  modRevision: string;
  lease: string;
}

export function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** The folder of the scope, as Patroni builds it. */
export function scopePath({ namespace, scope }: DcsSpec): string {
  return `/${[...namespace.split("/"), scope].filter(Boolean).join("/")}/`;
}

/** All keys that begin with `prefix`: up to the first one that does not. */
export function below(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix, "utf8");
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: base64(prefix), range_end: end.toString("base64") };
}

/** The keys in the answer to a range. */
export function keysIn({ kvs }: JsonObject): Kept[] {
  return (Array.isArray(kvs) ? kvs : []).map((one) => {
    const { key, value, mod_revision, lease } = one as Record<string, string | undefined>;
    return {
      key: plain(key),
      value: plain(value),
      modRevision: mod_revision ?? "0",
      lease: lease ?? "0",
    };
  });
}

function plain(text = ""): string {
  return Buffer.from(text, "base64").toString("utf8");
}
