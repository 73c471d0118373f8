import { expect, test } from "bun:test";
import type { PgdbaError } from "../../../engine/errors.ts";
import { memberMeant, membersMeant, placeIn } from "../../../providers/target/member-name.ts";

const MEMBERS = [
  {
    name: "pg1",
    places: [
      { host: "127.0.0.1", port: 15432 },
      { host: "pg1", port: 5432 },
    ],
  },
  {
    name: "pg2",
    places: [
      { host: "127.0.0.1", port: 25432 },
      { host: "10.0.0.2", port: 5432 },
    ],
  },
  { name: "db3", places: [{ host: "::1", port: 5432 }] },
];

test("a place is a host, or a host with its port", () => {
  const texts = ["db1", "db1:5433", "10.0.0.1:1", "::1", "[::1]", "[::1]:5433", "fe80::1"];
  expect(texts.map(placeIn)).toEqual([
    { host: "db1", port: null },
    { host: "db1", port: 5433 },
    { host: "10.0.0.1", port: 1 },
    { host: "::1", port: null },
    { host: "::1", port: null },
    { host: "::1", port: 5433 },
    { host: "fe80::1", port: null },
  ]);
  for (const bad of ["", "db1:", "db1:0", "db1:70000", "db1:x", "a b", "[db1", "h:1:2"])
    expect([bad, placeIn(bad)]).toEqual([bad, undefined]);
});

test("a member is meant by its name, its host, or its host and port, from here or as the others reach it", () => {
  for (const [text, name] of [
    ["pg1", "pg1"],
    ["pg1:5432", "pg1"],
    ["127.0.0.1:25432", "pg2"],
    ["10.0.0.2", "pg2"],
    ["10.0.0.2:5432", "pg2"],
    ["[::1]:5432", "db3"],
    ["::1", "db3"],
  ] as const)
    expect([text, memberMeant("shop", MEMBERS, text).name]).toEqual([text, name]);
  expect(membersMeant(MEMBERS, "10.0.0.2:6000")).toEqual([]);
});

test("what means none or several is refused, with those that there are", () => {
  const refused = (text: string): PgdbaError => {
    try {
      throw new Error(`it was taken for ${memberMeant("shop", MEMBERS, text).name}`);
    } catch (error) {
      return error as PgdbaError;
    }
  };
  expect(refused("127.0.0.1")).toMatchObject({
    code: "invalid_param",
    message: "127.0.0.1 may be pg1 (127.0.0.1:15432) or pg2 (127.0.0.1:25432) of shop",
  });
  expect(refused("pg4")).toMatchObject({
    code: "invalid_param",
    message: "shop has no member pg4",
    hint: "Its members are pg1, pg2, db3; did you mean pg1?",
  });
});
