import { expect, test } from "bun:test";
import { Secrets } from "../../engine/secrets.ts";
import { passwordsIn } from "../../engine/secrets/passwords.ts";
import { cpuMs } from "../support/cpu-time.ts";

const SECRET = `pä$$'w&rd "<x>\\1`;

function holding(...values: string[]): Secrets {
  const secrets = new Secrets();
  values.forEach((value) => secrets.add(value));
  return secrets;
}

test("a word that is a part of a name of every server leaves that name whole, and is masked in all else", () => {
  const secrets = holding("repl");
  const name = "max_logical_replication_workers";
  expect(secrets.redactData({ [name]: name, said: `FATAL: ${name} = 4` })).toEqual({
    [name]: name,
    said: `FATAL: ${name} = 4`,
  });
  for (const text of [
    "user=repl password=repl",
    "postgres://u:repl@host/db",
    "-prepl",
    "password authentication of xreplx failed",
    "SELECT 'repl'",
    "max_repl_workers",
    "replicationrepl",
  ])
    expect([text, secrets.redact(text).includes("repl")]).toEqual([text, false]);
  expect(secrets.heldIn("max_replication_slots and repl")).toBe(true);
});

test("a user whose password is the same word is seen where names stand, and the password is not", () => {
  for (const word of ["dba", "admin"]) {
    const secrets = holding(word);
    const rows = { owners: ["clinic", word], owner: word, rolname: word, role: { name: word } };
    expect(JSON.stringify(secrets.redactData(rows))).not.toContain(word);
    secrets.addName(word);
    expect(secrets.redactData(rows)).toEqual(rows);
    const hidden = {
      password: word,
      value: word,
      passwords: [word],
      name: `is ${word}`,
      nested: { owners: { x: word } },
    };
    const masked = JSON.stringify(secrets.redactData(hidden));
    // In a longer text fewer than four characters are no secret.
    expect(masked.replace(word.length < 4 ? "is dba" : "", "")).not.toContain(word);
  }
});

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
  ["in HTML with quotes", Bun.escapeHTML(SECRET)],
  ["in XML", Bun.escapeHTML(SECRET).replaceAll("&#x27;", "&apos;")],
  ["in JSON inside of JSON", JSON.stringify(JSON.stringify(SECRET)).slice(3, -3)],
  ["in JSON of ASCII alone", JSON.stringify(SECRET).slice(1, -1).replace("ä", "\\u00e4")],
  [
    "in JSON for HTML",
    JSON.stringify(SECRET)
      .slice(1, -1)
      .replace("&", "\\u0026")
      .replace("<", "\\u003c")
      .replace(">", "\\u003e"),
  ],
  ["in upper-case hex", Buffer.from(SECRET).toString("hex").toUpperCase()],
  [
    "in hex with blanks",
    Buffer.from(SECRET)
      .toString("hex")
      .replace(/..(?=.)/g, "$& "),
  ],
  [
    "in hex with colons",
    Buffer.from(SECRET)
      .toString("hex")
      .toUpperCase()
      .replace(/..(?=.)/g, "$&:"),
  ],
  [
    "in a URL with lower-case codes",
    encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase()),
  ],
  ["in a form", new URLSearchParams({ a: SECRET }).toString().slice(2)],
  ["in a quoted name of SQL", SECRET.replaceAll('"', '""')],
  ["in an escaped SQL literal", SECRET.replaceAll("\\", "\\\\").replaceAll("'", "''")],
  ["in single quotes of a shell", SECRET.replaceAll("'", `'\\''`)],
  ["in double quotes of a shell", SECRET.replace(/[\\"$`]/g, "\\$&")],
])("a secret is masked %s", (_, form) => {
  const text = holding(SECRET).redact(`before ${form} after ${form}`);
  expect(text).toBe("before ******** after ********");
});

test.each([0, 1, 2, 3, 4, 5])("base64 of a longer text, %d characters before it", (before) => {
  const secret = "hunter2-hunter3";
  const secrets = holding(secret);
  for (const encoding of ["base64", "base64url"] as const) {
    const text = Buffer.from(`${"u".repeat(before)}:${secret}@after`).toString(encoding);
    const masked = secrets.redact(text);
    expect(masked).toContain("********");
    // What is left tells no more than bits of the characters at either end.
    for (const part of masked.split("********"))
      expect(Buffer.from(part, encoding).toString("latin1")).not.toMatch(/unter|nter|ter3/);
    expect(masked.replaceAll("********", "").length).toBeLessThanOrEqual(text.length - 18);
  }
});

test("base64 and hex that were broken into lines, wherever the secret stands in them", () => {
  const secrets = new Secrets();
  secrets.add("Tr0ub4d'or&3 é");
  for (let before = 0; before < 60; before++) {
    const text = Buffer.from(`${"a".repeat(before)}Tr0ub4d'or&3 é${"z".repeat(90)}`);
    for (const [form, between] of [
      [text.toString("base64"), "\n"],
      [text.toString("base64url"), "\r\n  "],
      [text.toString("hex"), "\n"],
    ] as const) {
      const lines = form.match(/.{1,64}/g)!;
      const masked = secrets.redact(`begin\n${lines.join(between)}\n(end)`);
      expect(masked, `${before} ${form}`).toMatch(/^begin\n[^*]*\*{8}[^*]*\n\(end\)$/);
      const at = Math.ceil((before * form.length) / text.length);
      for (const piece of [form.slice(at + 2, at + 8), form.slice(at + 10, at + 16)])
        expect(masked.replaceAll(/\s/g, "")).not.toContain(piece);
    }
  }
  const innocent = `${"a".repeat(64)}\n${"b".repeat(64)}\n`;
  expect(secrets.redact(innocent)).toBe(innocent);
  const computed = cpuMs();
  secrets.redact(`${"a".repeat(2_000_000)}\n\n${`${"b".repeat(50)}\n`.repeat(40_000)}`);
  expect(cpuMs() - computed).toBeLessThan(5_000);
});

test("JSON in JSON, however either was escaped", () => {
  const secrets = new Secrets();
  const value = 'Tr0"ub/4 <é>';
  secrets.add(value);
  const ascii = (text: string) =>
    text.replace(/[^ -~]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  const once = JSON.stringify(value);
  for (const inner of [once, ascii(once), once.replaceAll("/", "\\/")])
    for (const text of [inner, JSON.stringify(inner), JSON.stringify({ log: inner })])
      expect(secrets.redact(text)).not.toContain("ub");
});

test("any piece of a long secret that is long enough to be known is masked", () => {
  const secret = Buffer.from(Array.from({ length: 96 }, (_, n) => (n * 37) % 251)).toString(
    "base64",
  );
  const secrets = holding(secret);
  for (const [from, to] of [
    [0, 20],
    [5, 40],
    [40, 90],
    [secret.length - 18, secret.length],
  ] as const)
    expect(secrets.redact(`x ${secret.slice(from, to)} y`)).toBe("x ******** y");
  const wrapped = secret.replace(/.{40}/g, "$&\n");
  expect(secrets.redact(wrapped).replaceAll("********", "").trim().length).toBeLessThan(16);
});

test("secrets that overlap are masked as one", () => {
  expect(holding("abcdef", "defghi").redact("x abcdefghi y")).toBe("x ******** y");
});

test("what a cut left of a secret is masked where an ellipsis shows the cut", () => {
  const secrets = holding("hunter2-and-more");
  expect(secrets.redact("it was hunter2-a…")).toBe("it was ********…");
  expect(secrets.redact("it was hunter2-a … (cut: 99 bytes)")).toBe(
    "it was ********… (cut: 99 bytes)",
  );
  expect(secrets.redact("…and-more, it was")).toBe("…********, it was");
  expect(secrets.redact("hunters… are out")).toBe("hunters… are out");
  expect(secrets.withoutCut("it was hunter2-a", "end")).toBe("it was ");
  expect(secrets.withoutCut("and-more, it was", "start")).toBe(", it was");
});

test("many values and long texts take no more than a moment", () => {
  const secrets = holding("hunter2-and-more");
  secrets.addData(Array.from({ length: 20_000 }, (_, n) => ({ at: `2026-01-01T00:00:00.${n}Z` })));
  const text = "2026-01-01 is no secret, nor is hunter3. ".repeat(100_000);
  const computed = cpuMs();
  expect(secrets.redact(text)).toBe(text);
  expect(cpuMs() - computed).toBeLessThan(3000);
});

test("a long text is searched for passwords in time in proportion to its length", () => {
  const computed = cpuMs();
  for (const piece of ["a", "a://", "a://b:c", "password=", "password='"])
    expect(passwordsIn(`${piece.repeat(1_000_000 / piece.length)}@`)).toBeArray();
  expect(cpuMs() - computed).toBeLessThan(4000);
});

test("passwords in URIs and connection strings", () => {
  const found = (text: string) => {
    const secrets = new Secrets();
    secrets.addFrom(text);
    return secrets.redact(text);
  };
  expect(found("postgres://app:s3cret@db1/shop")).toBe("postgres://app:********@db1/shop");
  expect(found("postgres://app:abc@db1/shop")).toBe("postgres://app********db1/shop");
  expect(found("postgres://app:p%40ss@db1 and p@ss")).toBe(
    "postgres://app:********@db1 and ********",
  );
  expect(found("postgres://app:p@ss@db1")).toBe("postgres://app:********@db1");
  expect(found("host=a password='s3 cret' user=b")).toBe("host=a password='********' user=b");
  expect(found("https://user@host/path --db-password=env:SECRET")).toBe(
    "https://user@host/path --db-password=env:SECRET",
  );
});

test("records keep their keys, ids, states and codes, whatever the secrets are", () => {
  const secrets = holding("status", "failed", "step_1", "exec", "check");
  const step = {
    id: "step_1",
    path: "step_1",
    type: "exec",
    status: "failed",
    error: { code: "command_failed", message: "it failed" },
  };
  const run = { id: "2026", status: "failed", steps: [step], warnings: ["status: failed"] };
  const envelope = {
    success: true,
    timestamp: "t",
    command: "health check",
    data: { status: "failed", rows: [{ status: "failed" }], run },
    error: null,
  };
  expect(secrets.redactEnvelope(envelope)).toEqual({
    ...envelope,
    data: {
      status: "********",
      rows: [{ status: "********" }],
      run: {
        ...run,
        steps: [{ ...step, error: { code: "command_failed", message: "it ********" } }],
        warnings: ["********: ********"],
      },
    },
  } as never);
});

test("of a run that failed, the output is masked like that of one that ended well", () => {
  const secrets = holding("hunter2-secret", "ab1");
  const envelope = {
    success: false,
    timestamp: "t",
    command: "t leak",
    data: {
      name: "hunter2-secret",
      file: { name: "hunter2-secret" },
      status: "ab1",
      other: "ab12",
    },
    error: { code: "assertion_failed", message: "no", run: { status: "failed" } },
  } as never;
  expect(secrets.redactEnvelope(envelope)).toMatchObject({
    data: { name: "********", file: { name: "********" }, status: "********", other: "ab12" },
  } as never);
});

test("a key that is a secret is masked, one that is a word of ours stays, and none is lost", () => {
  const secrets = holding("status", "hunter2", "hunter3");
  expect(secrets.redactData({ status: 1, hunter2: 2, hunter3: 3 })).toEqual({
    status: 1,
    "********": 2,
    "******** (2)": 3,
  } as never);
});

test("a name is never masked for the sake of a sensitive output", () => {
  const secrets = new Secrets();
  secrets.addData({ status: "status", other: "orders" });
  expect(secrets.redactData({ status: "orders", orders: 1 })).toEqual({
    status: "********",
    orders: 1,
  } as never);
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

test("the state folder is no secret, whatever words its path has; a password beside it is", () => {
  const secrets = holding("exam", "hunter2-secret");
  secrets.addFolder("/srv/exam/home");
  const path = "/srv/exam/home/passwords/exam.20260101";
  expect(secrets.redact(path)).toBe(path);
  expect(secrets.redactData({ file: path })).toEqual({ file: path });
  expect(secrets.redact(`see ${path}: exam`)).toBe(`see ${path}: ********`);
  // Another folder, and one that only begins alike.
  expect(secrets.redact("/srv/exam/other /srv/exam/home2/exam x/srv/exam/home")).toBe(
    "/srv/********/other /srv/********/home2/******** x/srv/********/home",
  );
  // What is no word is no name that pgdba gave.
  expect(secrets.redact("/srv/exam/home/hunter2-secret")).toBe("/srv/exam/home/********");
  for (const before of ["postgres://u:", "password=", "-p", "'", '"', "\n", "@"])
    expect(secrets.redact(`${before}exam@/srv/exam/home`)).toStartWith(`${before}********`);
});

test("a secret that is the folder itself is masked", () => {
  const secrets = holding("/srv/exam");
  secrets.addFolder("/srv/exam");
  expect(secrets.redact("in /srv/exam")).toBe("in ********");
  expect(secrets.redact("in /srv/exam/home")).toBe("in ********/home");
});

test("in a hint a short word is no part of a longer one; alone, in data and in messages it is masked", () => {
  const hint = "For example `pgdba role set app`, examples";
  const secrets = holding("exam", "tr0ub", "qwertyuiopasdf", "Exam");
  expect(secrets.redactOurs(hint)).toBe(hint);
  expect(secrets.redactOurs("exam, 'exam' exam@db u:exam -pexam exams examX EXAMexam1")).toBe(
    "********, '********' ********@db u:******** -p******** ********s ********X EXAM********1",
  );
  // What is no word, or long, is masked within one too.
  expect(secrets.redactOurs("xxtr0ubxx qwertyuiopasdfghjkl Example")).toBe(
    "xx********xx ********ghjkl ********ple",
  );
  const error = { code: "usage", message: "no example", hint, data: { hint } };
  expect(secrets.redactRecord(error)).toEqual({
    ...error,
    message: "no ********ple",
    data: { hint: "For ********ple `pgdba role set app`, ********ples" },
  });
});

test("a password that is the user's name leaves the commands of hints and findings as they can be run", () => {
  const secrets = holding("postgres", "tr0ub4dor", "dashes");
  const command = "pgdba session list --host 'postgres' --user postgres --database=postgres";
  expect(secrets.redactOurs(`Run \`${command}\``)).toBe(`Run \`${command}\``);
  const finding = { remedy: { command, text: `as ${command}` }, role: "postgres" };
  expect(secrets.redactData(finding)).toEqual({
    remedy: {
      command,
      text: "as pgdba session list --host '********' --user ******** --database=********",
    },
    role: "********",
  });
  // As a password, beside something else, or where it is no word, it is masked.
  for (const text of [
    "pgdba x --password postgres",
    "pgdba x --user a:postgres",
    "pgdba x --user postgres:dashes",
    "pgdba x --user tr0ub4dor",
    "pgdba x --user-password postgres",
    "pgdba x postgres://u:postgres@db",
    "postgres",
  ])
    expect([text, secrets.redactOurs(text)]).toEqual([
      text,
      text.replaceAll(/postgres|tr0ub4dor|dashes/g, "********"),
    ]);
});
