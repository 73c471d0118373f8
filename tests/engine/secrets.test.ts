import { expect, test } from "bun:test";
import { Secrets } from "../../engine/secrets.ts";

const SECRET = `pä$$'w&rd "<x>\\1`;

function holding(...values: string[]): Secrets {
  const secrets = new Secrets();
  values.forEach((value) => secrets.add(value));
  return secrets;
}

test.each<[string, string]>([
  ["as it is", SECRET],
  ["in JSON", JSON.stringify(SECRET).slice(1, -1)],
  ["in base64", Buffer.from(SECRET).toString("base64")],
  ["in base64 without padding", Buffer.from(SECRET).toString("base64").replace(/=+$/, "")],
  ["in base64url", Buffer.from(SECRET).toString("base64url")],
  ["in hex", Buffer.from(SECRET).toString("hex")],
  ["in a URL", encodeURIComponent(SECRET)],
  ["in an SQL literal", SECRET.replaceAll("'", "''")],
  ["in HTML", Bun.escapeHTML(SECRET).replaceAll("&#x27;", "'")],
])("a secret is masked %s", (_, form) => {
  const text = holding(SECRET).redact(`before ${form} after ${form}`);
  expect(text).toBe("before ******** after ********");
});

test("of two secrets the longer one is masked whole, whichever came first", () => {
  expect(holding("hunter2", "hunter2-and-more").redact("hunter2-and-more hunter2")).toBe(
    "******** ********",
  );
});

test("each longer line of a value counts too, trimmed; and the value without its last line break", () => {
  const key = "-----BEGIN KEY-----\nMIIEvAIBADANBgkq\r\n  aGVsbG8gd29ybGQ=\nshort\n";
  const secrets = holding(key);
  expect(secrets.redact("x MIIEvAIBADANBgkq y aGVsbG8gd29ybGQ= z short")).toBe(
    "x ******** y ******** z short",
  );
  expect(holding("token-1234\n").redact("token-1234")).toBe("********");
});

test("data is masked in keys, in values, in numbers and however deep; the original is left", () => {
  const secrets = holding("hunter2", "123456789");
  const data = {
    hunter2: [{ deep: "is hunter2" }],
    n: 123456789,
    big: 123456789n,
    other: 12345,
    none: null,
    yes: true,
  };
  expect(secrets.redactData(data)).toEqual({
    "********": [{ deep: "is ********" }],
    n: "********",
    big: "********",
    other: 12345,
    none: null,
    yes: true,
  } as never);
  expect(data.hunter2[0]!.deep).toBe("is hunter2");
});

test("without secrets the very same object comes back", () => {
  const data = { a: 1 };
  expect(new Secrets().redactData(data)).toBe(data);
});

test("a short value masks no ordinary words or numbers, but is refused in argv", () => {
  const secrets = holding("abc", "42", "longer-secret");
  expect(secrets.redact("abc 42")).toBe("abc 42");
  expect(secrets.redactData({ n: 42 })).toEqual({ n: 42 });
  expect(secrets.exposedIn("--password=abc")).toBe(true);
});

test("an empty value is no secret", () => {
  const secrets = holding("", "   ");
  expect(secrets.exposedIn("anything")).toBe(false);
  expect(secrets.redact("anything")).toBe("anything");
});

test("a sensitive output: all its texts and long numbers, not its keys, its flags or small numbers", () => {
  const secrets = new Secrets();
  secrets.addData({
    token: "tok-9999",
    list: ["item-one", { n: 7654321, small: 12, on: true, none: null, s: "abc" }],
  });
  expect(
    secrets.redactData({
      token: "tok-9999",
      x: "item-one",
      n: 7654321,
      small: 12,
      on: true,
      s: "abc",
    }),
  ).toEqual({
    token: "********",
    x: "********",
    n: "********",
    small: 12,
    on: true,
    s: "abc",
  } as never);
  expect(secrets.exposedIn("abc")).toBe(false);
});
