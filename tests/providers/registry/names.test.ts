import { expect, test } from "bun:test";
import {
  containerName,
  dataVolume,
  draftName,
  secretsVolume,
} from "../../../providers/nodes/docker/record.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";

const LONGEST = "x".repeat(63);

test.each(["a", "7", "my_orders", "My-Orders_2", "ORDERS", "a-", "a_", LONGEST])(
  "%s is the name of a cluster, and Docker takes what is named after it",
  (name) => {
    expect(clusterFile("/state", name)).toBe(`/state/clusters/${name}.yaml`);
    for (const made of [containerName, draftName, dataVolume, secretsVolume])
      expect(made(name, "pg1")).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,253}$/);
  },
);

test.each(["", "-a", "_a", "a.b", "a b", "a/b", "../a", "ä", "a\n", `${LONGEST}x`])(
  "%j is none, and is not repeated",
  (name) => {
    expect(() => clusterFile("/state", name)).toThrow(
      expect.objectContaining({
        code: "invalid_param",
        message: "This is not the name of a cluster",
        hint: expect.stringContaining("at most 63"),
      }),
    );
  },
);
