import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { canonical } from "../journal/canonical.ts";
import { PgdbaError } from "../errors.ts";
import type { PartDigests } from "./digest.ts";

/** An approval is good for so long after it was given, ms. */
export const GOOD_FOR_MS = 15 * 60_000;
/** A request that nobody has approved is forgotten after this, ms. What was approved is computed anew anyway. */
export const WAITS_FOR_MS = 24 * 3600_000;
/** The clocks of two processes may differ by so much, ms. */
const SKEW_MS = 60_000;

/** The id of a request: it is also a part of the names of files. */
export const REQUEST_ID = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** The word of a person, as it stands in a file. */
export interface Approval {
  /** The id of the request. */
  request: string;
  /** Over all that would be done: see `digestOfParts`. */
  digest: string;
  /** The digest of each part, to name what differs later. */
  parts: PartDigests;
  /** The name of the user, or of the key. */
  by: string;
  /** ISO 8601. */
  at: string;
  expires_at: string;
  /** Base64, where it was given with a key. */
  signature?: string;
}

/** The text that is signed. Its first line keeps a signature for something else from counting here. */
function signed({ request, digest, by, at, expires_at }: Approval): Buffer {
  return Buffer.from(`pgdba approval 1\n${canonical({ request, digest, by, at, expires_at })}`);
}

export function signApproval(approval: Approval, key: KeyObject): Approval {
  return { ...approval, signature: sign(null, signed(approval), key).toString("base64") };
}

/** Whether the key of the policy has signed it. `publicKey`: base64 of its DER (SPKI). */
export function isSignedBy(approval: Approval, publicKey: string): boolean {
  const { signature } = approval;
  if (signature === undefined) return false;
  try {
    return verify(null, signed(approval), readPublic(publicKey), Buffer.from(signature, "base64"));
  } catch {
    return false;
  }
}

function readPublic(key: string): KeyObject {
  return createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" });
}

/** @throws PgdbaError usage when it is no private ed25519 key */
export function readPrivate(pem: string, file: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // Below.
  }
  if (key?.asymmetricKeyType === "ed25519") return key;
  throw new PgdbaError("usage", `${file} holds no private ed25519 key`, {
    hint: `\`pgdba approve --new-key ${file}.new\` makes one, and prints what the policy must say of it.`,
  });
}

/** As a policy names it. */
export function publicText(key: KeyObject): string {
  const open = key.type === "public" ? key : createPublicKey(key);
  return open.export({ format: "der", type: "spki" }).toString("base64");
}

export function newPrivateKey(): { pem: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  return { pem, publicKey: publicText(privateKey) };
}

/** Why it is not good at this moment; null when it is. */
export function whyNotNow({ at, expires_at }: Approval, now: number): string | null {
  const [given, ends] = [Date.parse(at), Date.parse(expires_at)];
  if (!Number.isFinite(given) || !Number.isFinite(ends)) return "it does not say when it was given";
  if (ends - given > GOOD_FOR_MS) return "it would be good for longer than 15 minutes";
  if (given > now + SKEW_MS) return `it was given at ${at}, which is later than now`;
  if (now >= ends) return `it expired at ${expires_at}`;
  return null;
}

/** The approval in a text; undefined for anything else. */
export function readApproval(text: string): Approval | undefined {
  let read: Partial<Record<keyof Approval, unknown>>;
  try {
    read = JSON.parse(text) as typeof read;
  } catch {
    return undefined;
  }
  if (read === null || typeof read !== "object") return undefined;
  const { signature, parts } = read;
  const texts = [read.request, read.digest, read.by, read.at, read.expires_at];
  const isSound =
    texts.every((one) => typeof one === "string") &&
    (signature === undefined || typeof signature === "string") &&
    parts !== null &&
    typeof parts === "object";
  return isSound ? (read as Approval) : undefined;
}
