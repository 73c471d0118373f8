import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const ITERATIONS = 4096;

/**
 * The form in which PostgreSQL keeps a password (RFC 5803). CREATE ROLE gets it in place of the password, which then
 * stands in no statement and in no log of the server.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const hmac = (key: Buffer, text: string): Buffer =>
    createHmac("sha256", key).update(text).digest();
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, ITERATIONS, 32, "sha256");
  const stored = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
  const server = hmac(salted, "Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${stored}:${server}`;
}

/** Whether a server that keeps `verifier` accepts the password. False for a verifier of another kind, and one of other iterations. */
export function isPasswordOf(password: string, verifier: string): boolean {
  const salt = /^SCRAM-SHA-256\$\d+:([^$]+)\$/.exec(verifier)?.[1];
  return salt !== undefined && scramVerifier(password, Buffer.from(salt, "base64")) === verifier;
}
