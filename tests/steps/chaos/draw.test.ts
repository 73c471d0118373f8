import { expect, test } from "bun:test";
import draw from "../../../steps/chaos/draw.ts";
import { fakeContext } from "../../support/context.ts";

const drawn = (input: object): Promise<any> => Promise.resolve(draw.run(fakeContext(), input));

test("a seed draws the same again, whatever the order; another draws something else", async () => {
  const first = await drawn({ seed: 7, from: ["pg3", "pg2", "pg4"] });
  expect(await drawn({ seed: 7, from: ["pg2", "pg4", "pg3"] })).toEqual(first);
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, seed) => drawn({ seed, from: ["pg2", "pg3"] })),
  );
  const ones = all.filter(({ one }) => one === "pg2").length;
  expect(ones).toBeGreaterThan(60);
  expect(ones).toBeLessThan(140);
  expect(new Set(all.map(({ share }) => share)).size).toBe(200);
  for (const { share } of all) {
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThan(1);
  }
});

test("without a seed one is drawn, which draws the same; from nobody nobody is drawn", async () => {
  const { seed, ...found } = await drawn({ seed: null, from: ["pg2", "pg3"] });
  expect(Number.isInteger(seed)).toBe(true);
  expect(await drawn({ seed, from: ["pg2", "pg3"] })).toEqual({ seed, ...found });
  expect(await drawn({})).toMatchObject({ one: null });
});
