import { describe, expect, test } from "bun:test";
import { assertSizes, sizesOf } from "../../../../providers/nodes/docker/disks.ts";
import { failure } from "../contract/helpers.ts";

describe("disks of a size", () => {
  test("what a file system can't be made of is refused before anything is made, with all that is too small", async () => {
    const place = { data_size: "299m", wal_size: "10m", dcs_size: "1m" };
    const error = await failure((async () => assertSizes({ place }))());
    expect(error.code).toBe("step_refused");
    expect(error.message).toContain("data_size 299m and wal_size 10m and dcs_size 1m");
  });

  test("300 MB are enough, and so is none", () => {
    assertSizes({ place: { data_size: "300m", wal_size: "1g" } });
    assertSizes({ place: {} });
    assertSizes({});
  });

  test("each role has the disks that are meant for it", () => {
    const place = { data_size: "1g", wal_size: "512m", dcs_size: "300m" };
    expect(sizesOf(place, "postgres")).toEqual({ data: 2 ** 30, wal: 2 ** 29 });
    expect(sizesOf(place, "etcd")).toEqual({ data: 300 * 2 ** 20 });
    expect(sizesOf(place, "pgbouncer")).toEqual({});
    expect(sizesOf({}, "etcd")).toEqual({});
  });
});
