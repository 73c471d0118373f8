import { test } from "bun:test";
import { SPEC } from "../support/whole-cluster.ts";
import { expectGolden, fileOf } from "./golden.ts";

test("etcd.yml and the accounts of a member", () => {
  expectGolden(fileOf(SPEC, "etcd1", "etcd.yml"), "etcd.yml");
  expectGolden(fileOf(SPEC, "etcd1", "accounts.json"), "accounts.json");
});
