import { expect, test } from "bun:test";
import { maskQuery, maskSetting, normaliseQuery } from "../../steps/mask.ts";

test("passwords and keys in settings are masked, and nothing else", () => {
  expect(maskSetting("host=a user=b password=geheim port=1")).toBe(
    "host=a user=b password=*** port=1",
  );
  expect(maskSetting("host=a password='it''s \\' x' port=1")).toBe("host=a password=*** port=1");
  expect(maskSetting("postgres://u:geheim@host/db")).toBe("postgres://u:***@host/db");
  expect(maskSetting("AWS_SECRET_ACCESS_KEY=geheim wal-g wal-push %p")).toBe(
    "AWS_SECRET_ACCESS_KEY=*** wal-g wal-push %p",
  );
  for (const plain of [
    "/etc/ssl/key.pem",
    "cp %p /archive/%f",
    "scram-sha-256",
    "pg_stat_statements, auto_explain",
  ])
    expect(maskSetting(plain)).toBe(plain);
});

test("a literal of megabytes leaves nothing beside it unmasked", () => {
  const long = "x".repeat(2_000_000);
  for (const text of [
    `update users set password = 'geheim', picture = '${long}'`,
    `alter role x password E'geheim\\'${long}'`,
    `insert into "${long}" (password) values ('geheim')`,
  ])
    expect(maskQuery(text)).not.toContain("geheim");
  expect(maskSetting(`password='geheim ${long}'`)).toBe("password=***");
});

test("a text that is made to be slow is masked at once", () => {
  for (const part of ["passw", "://:"]) {
    const text = part.repeat(60_000);
    const began = performance.now();
    expect(maskSetting(text)).toBe(text);
    // Each took longer than ten minutes when every place was looked at from every other.
    expect(performance.now() - began).toBeLessThan(10_000);
  }
});

test("no way of quoting brings a password past the mask", () => {
  const literals = [
    "'geheim'",
    "E'a\\'geheim'",
    "'it''s geheim'",
    "$$geheim$$",
    "$x$ge'heim geheim$x$",
    "U&'geheim'",
    "'C:\\', 'geheim'",
  ];
  for (const literal of literals) {
    const masked = maskQuery(`alter role x password ${literal} valid until 'tomorrow' -- end`);
    expect(masked).toStartWith("alter role x password ");
    expect(masked).toContain("***");
    expect(masked).not.toContain("geheim");
  }
  expect(
    maskQuery("create subscription s connection 'password=geheim' publication p"),
  ).not.toContain("geheim");
  expect(maskQuery(`alter role x password 'geh${"e".repeat(2000)}`.slice(0, 2000))).not.toContain(
    "gehe",
  );
  for (const plain of [
    "select 'x' from t where a = $1",
    "select password from users where id = $1",
  ])
    expect(maskQuery(plain)).toBe(plain);
});

test("a command that is not normalised loses all of its strings, and its comments; numbers stay", () => {
  const cases: [string, string][] = [
    [
      "alter role r password 'geheim' connection limit 5",
      "alter role r password '***' connection limit 5",
    ],
    [
      "create user mapping for r server s options (user 'u', password 'geh''eim')",
      "create user mapping for r server s options (user '***', password '***')",
    ],
    [
      "create subscription s connection 'password=geheim' publication p",
      "create subscription s connection '***' publication p",
    ],
    ["DO $$ begin execute 'alter role r password ''geheim'''; end $$", "DO '***'"],
    ["do $x$ select $$geheim$$ $x$ language plpgsql", "do '***' language plpgsql"],
    ["ALTER ROLE r PASSWORD E'geh\\'ei\\x6d'", "ALTER ROLE r PASSWORD '***'"],
    ["copy (select 1) to program 'curl -u a:geheim'", "copy (select 1) to program '***'"],
    ["/* geheim */ set app.password = geheim", "set app.password = ***"],
    [
      "create table t$a$b (v varchar(10) default 'geheim')",
      "create table t$a$b (v varchar(10) default '***')",
    ],
    [`alter role "it's" password 'geheim'`, `alter role "it's" password '***'`],
    // By standard_conforming_strings this is one string or two.
    ["alter role r password 'C:\\', 'geheim'", "alter role r password '***'"],
    ["alter role r /* a /* b */ 'geheim' */ password 'geheim'", "alter role r '***'"],
    ["explain select 'geheim'", "explain select '***'"],
  ];
  for (const [typed, masked] of cases) expect(maskQuery(typed)).toBe(masked);
  expect(maskQuery("-- one\n(select 'x')")).toBe("-- one\n(select 'x')");
});

test("a statement as it was typed reads as one that was normalised", () => {
  const cases: [string, string][] = [
    [
      "select * from t1 where a = 'x' and b = 5.3e-7 and t1.x2 = $2 limit 10",
      "select * from t1 where a = $3 and b = $4 and t1.x2 = $2 limit $5",
    ],
    [
      "with x as (values (1)) select e'a\\'b', $$x$$ from x",
      "with x as (values ($1)) select $2, $3 from x",
    ],
    ["select 'cut off", "select $1"],
    ["alter role r password 'geheim'", "alter role r password '***'"],
  ];
  for (const [typed, normal] of cases) expect(normaliseQuery(typed)).toBe(normal);
});
