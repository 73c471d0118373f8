import { expect, test } from "bun:test";
import { parse } from "yaml";
import {
  type ThresholdList,
  thresholdRules,
  thresholdsOf,
} from "../../../steps/monitor/rules/thresholds.ts";

const LIST: ThresholdList = {
  under: "health/checks",
  checks: { "lock-waits": ["warning"] },
  runbooks: { "backup-age": { critical: { runbook: "health/check", param: "backup_max_age" } } },
  own: { "disk-used": { warning: { value: 80, description: "Percent of a file system" } } },
};

test("each value comes from its one place, durations in seconds", () => {
  const asked: string[] = [];
  const found = thresholdsOf(LIST, {
    check: (name, param) => (asked.push(`${name}.${param}`), 15),
    runbook: (name, param) => (asked.push(`${name}.${param}`), "1h30m"),
  });
  expect(asked).toEqual(["lock-waits.warning", "health/check.backup_max_age"]);
  expect(found).toEqual([
    { check: "lock-waits", param: "warning", value: 15 },
    { check: "backup-age", param: "critical", value: 5400 },
    { check: "disk-used", param: "warning", value: 80 },
  ]);
});

test("a value that is no number is refused", () => {
  expect(() => thresholdsOf(LIST, { check: () => undefined, runbook: () => "1h" })).toThrow(
    "lock-waits.warning is not a number",
  );
});

test("the rules record the values with what they are thresholds of", () => {
  const text = thresholdRules([{ check: "lock-waits", param: "warning", value: -1.5 }]);
  expect(parse(text)).toEqual({
    groups: [
      {
        name: "thresholds",
        interval: "15s",
        rules: [
          {
            record: "pgdba:threshold",
            expr: "vector(-1.5)",
            labels: { check: "lock-waits", param: "warning" },
          },
        ],
      },
    ],
  });
});
