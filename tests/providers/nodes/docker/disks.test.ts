import { describe, expect, test } from "bun:test";
import { assertSizes } from "../../../../providers/nodes/docker/disks.ts";
import { failure } from "../contract/helpers.ts";

describe("disks of a size", () => {
  test("what a file system can't be made of is refused before anything is made, with all that is too small", async () => {
    const place = { data_size: "299m", wal_size: "10m" };
    const error = await failure((async () => assertSizes({ place }))());
    expect(error.code).toBe("step_refused");
    expect(error.message).toContain("data_size 299m and wal_size 10m");
  });

  test("300 MB are enough, and so is none", () => {
    assertSizes({ place: { data_size: "300m", wal_size: "1g" } });
    assertSizes({ place: {} });
    assertSizes({});
  });
});
