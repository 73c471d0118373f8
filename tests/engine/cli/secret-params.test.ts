import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withSecrets } from "../../../engine/cli/secret-params.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { JsonObject, ParamSpec } from "../../../engine/types.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-secrets-"));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return `file:${join(dir, name)}`;
};

const PARAMS: Record<string, ParamSpec> = {
  user: { type: "string" },
  password: { type: "string", secret: true, minLength: 8 },
  token: { type: "string", secret: true },
};

function given(values: JsonObject, env: Record<string, string> = {}) {
  const secrets = new Secrets();
  return { values: withSecrets(PARAMS, values, env, secrets), secrets };
}

function refused(values: JsonObject, env: Record<string, string> = {}): PgdbaError {
  try {
    given(values, env);
  } catch (error) {
    return error as PgdbaError;
  }
  throw new Error("not refused");
}

test("references become their values, which are masked from then on", () => {
  const { values, secrets } = given(
    { user: "ann", password: "env:PW", token: file("token", "tok-en-12345\n") },
    { PW: "long enough" },
  );
  expect(values).toEqual({ user: "ann", password: "long enough", token: "tok-en-12345" });
  expect(secrets.redact("it is long enough and tok-en-12345")).not.toMatch(/enough|tok-en/);
});

test("all that are missing are named at once, with where they were looked for", () => {
  const error = refused({ password: "env:PW", token: file("empty", "\n") }, { PW: "" });
  expect(error.code).toBe("missing_secret");
  for (const part of ["environment variable PW (password)", "empty is empty (token)"])
    expect(error.message).toContain(part);
  expect(refused({ token: `file:${join(dir, "nowhere")}` }).message).toContain("nowhere");
});

test("one that does not fit is named without its value", () => {
  const error = refused({ password: "env:PW" }, { PW: "short" });
  expect(error.code).toBe("invalid_param");
  expect(error.message).toContain("password");
  expect(error.message).not.toContain("short");
});
