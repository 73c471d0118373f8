import { test } from "bun:test";
import { BY_TLS, SPEC } from "../support/whole-cluster.ts";
import { expectGolden, fileOf } from "./golden.ts";

test("etcd.yml and the accounts of a member", () => {
  expectGolden(fileOf(SPEC, "etcd1", "etcd.yml"), "etcd.yml");
  expectGolden(fileOf(SPEC, "etcd1", "accounts.json"), "accounts.json");
});

test("etcd.yml by TLS, for clients and among the members", () => {
  expectGolden(fileOf(BY_TLS, "etcd1", "etcd.yml"), "etcd-tls.yml");
});
