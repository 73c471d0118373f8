/** The arithmetic of WAL: names of segments, timelines, holes, and points in time. No server. */
import { expect, test } from "bun:test";
import { gapsOf, reachOf, runsOf, segmentsOf } from "../../../providers/backup/continuity.ts";
import { iso, parseInstant } from "../../../providers/backup/instant.ts";
import {
  historyFile,
  parseHistoryFile,
  parseSegment,
  segmentAt,
  segmentBefore,
  segmentFile,
  startOf,
} from "../../../providers/backup/segments.ts";
import { isLater, originText, parseOrigin, readPart } from "../../../providers/backup/origins.ts";
import {
  isOnPath,
  parseHistory,
  pathTo,
  timelineFor,
  treeOf,
} from "../../../providers/backup/timelines.ts";

const MB16 = 16 << 20;
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "not refused";
};

test.each([
  // As `pg_walfile_name` names them.
  [1, "0/16B3748", MB16, "000000010000000000000001"],
  [2, "16/B374D848", MB16, "0000000200000016000000B3"],
  [255, "FF/FFFFFFFF", MB16, "000000FF000000FF000000FF"],
  [1, "0/16B3748", 1 << 20, "000000010000000000000016"],
  [3, "5/C0000000", 1 << 30, "000000030000000500000003"],
  [0xffffffff, "FFFFFFFF/FFFFFFFF", 1 << 20, "FFFFFFFFFFFFFFFF00000FFF"],
])("timeline %p, LSN %p, segments of %p bytes: %p", (timeline, lsn, bytes, file) => {
  const at = BigInt(`0x${lsn.split("/")[0]}`) * 0x1_0000_0000n + BigInt(`0x${lsn.split("/")[1]}`);
  const segment = segmentAt(timeline, at, bytes);
  expect(segmentFile(segment, bytes)).toBe(file);
  expect(parseSegment(file, bytes)).toEqual(segment);
  expect(startOf(segment.number, bytes) <= at).toBe(true);
});

test("a name that is no whole segment of this size is none", () => {
  for (const file of [
    "000000010000000000000001.partial",
    "000000010000000000000001.00000028.backup",
    "00000002.history",
    "000000000000000000000001",
    "000000010000000000000100",
    "00000001000000000000000g",
  ])
    expect([file, parseSegment(file, MB16)]).toEqual([file, null]);
  expect(parseSegment("000000010000000000000FFF", 1 << 20)?.number).toBe(0xfffn);
  expect(parseSegment("000000010000000000001000", 1 << 20)).toBeNull();
  expect(refusal(() => parseSegment("000000010000000000000001", 3 << 20))).toStartWith(
    "step_refused: A WAL segment can't have",
  );
  expect([historyFile(31), parseHistoryFile("0000001F.history"), parseHistoryFile("1F")]).toEqual([
    "0000001F.history",
    31,
    null,
  ]);
});

test("the last segment before a position is not the one that begins there", () => {
  const edge = 5n * BigInt(MB16);
  expect([segmentBefore(1, edge, MB16).number, segmentBefore(1, edge + 1n, MB16).number]).toEqual([
    4n,
    5n,
  ]);
});

const HISTORY_3 = `1\t0/3000158\tno recovery target specified

# a comment
2\t0/50001A0\tbefore 2026-03-01 14:03:00+00
`;

test("a history file tells the way to its timeline", () => {
  const histories = new Map([
    [2, parseHistory(2, "1\t0/3000158\tpromoted\n")],
    [3, parseHistory(3, HISTORY_3)],
    [4, parseHistory(4, "1\t0/2000000\tbefore\n")],
  ]);
  const path = pathTo(histories, 3);
  expect(path).toEqual([
    { timeline: 1, from: 0n, until: 0x3000158n },
    { timeline: 2, from: 0x3000158n, until: 0x50001a0n },
    { timeline: 3, from: 0x50001a0n, until: null },
  ]);
  expect(pathTo(histories, 1)).toEqual([{ timeline: 1, from: 0n, until: null }]);
  expect([
    isOnPath(path, 1, 0x3000158n),
    isOnPath(path, 1, 0x3000159n),
    isOnPath(path, 2, 0x4000000n),
    isOnPath(path, 2, 0x6000000n),
    isOnPath(path, 3, 0x6000000n),
    isOnPath(path, 4, 0x2000000n),
  ]).toEqual([true, false, true, false, true, false]);
  const tree = treeOf(histories);
  expect(JSON.stringify(tree, (_key, value) => (typeof value === "bigint" ? Number(value) : value)))
    // 2 and 4 left 1; 3 left 2.
    .toBe(
      JSON.stringify([
        {
          timeline: 1,
          parent: null,
          at: null,
          reason: null,
          branches: [
            {
              timeline: 2,
              parent: 1,
              at: 0x3000158,
              reason: "promoted",
              branches: [
                {
                  timeline: 3,
                  parent: 2,
                  at: 0x50001a0,
                  reason: "before 2026-03-01 14:03:00+00",
                  branches: [],
                },
              ],
            },
            { timeline: 4, parent: 1, at: 0x2000000, reason: "before", branches: [] },
          ],
        },
      ]),
    );
});

test("a file that is no history of its timeline is refused", () => {
  for (const [timeline, text] of [
    [2, ""],
    [2, "2\t0/3000158\tx\n"],
    [3, "2\t0/3000158\tx\n1\t0/4000000\ty\n"],
    [2, "one 0/3000158\n"],
    [2, "<html>503</html>"],
  ] as const)
    expect([text, refusal(() => parseHistory(timeline, text)).slice(0, 12)]).toEqual([
      text,
      "step_refused",
    ]);
});

test("the timeline that is followed is the cluster's own, not the newest one", () => {
  const histories = new Map([
    [2, parseHistory(2, "1\t0/3000158\tpromoted\n")],
    [3, parseHistory(3, "1\t0/2000000\tbefore\n")],
  ]);
  expect([
    timelineFor(histories, [1, 2, 3], { now: 2 }),
    timelineFor(histories, [1, 2, 3], {}),
    timelineFor(histories, [1, 2, 3], { now: 3, asked: 1 }),
    timelineFor(new Map(), [], {}),
    // A cluster that was upgraded began at 1, whatever its last life had.
    timelineFor(new Map(), [7], { now: 7 }),
  ]).toEqual([2, 3, 1, 1, 7]);
  expect(refusal(() => timelineFor(histories, [1, 2], { asked: 9 }))).toBe(
    "invalid_param: The repository knows no timeline 9",
  );
  expect(refusal(() => timelineFor(histories, [1, 2, 4], { now: 4 }))).toBe(
    "step_refused: The history of timeline 4 (00000004.history) is not in the repository",
  );
});

/** `1:3-5` are segments 3 to 5 of timeline 1. */
function runs(...texts: string[]) {
  return runsOf(
    texts.flatMap((text) => {
      const [timeline, first, last] = text.split(/[:-]/).map(Number) as [number, number, number];
      return Array.from({ length: (last || first) - first + 1 }, (_none, index) => ({
        timeline,
        number: BigInt(first + index),
      }));
    }),
  );
}
const at = (segment: number, more = 0) => BigInt(segment) * BigInt(MB16) + BigInt(more);
const line = [{ timeline: 1, from: 0n, until: null }];
/** Timeline 2 begins in the middle of segment 5. */
const branched = [
  { timeline: 1, from: 0n, until: at(5, 0x158) },
  { timeline: 2, from: at(5, 0x158), until: null },
];
/** Timeline 2 begins exactly where segment 5 does. */
const edged = [
  { timeline: 1, from: 0n, until: at(5) },
  { timeline: 2, from: at(5), until: null },
];

test.each([
  ["nothing", line, runs(), 3, null, []],
  ["all", line, runs("1:3-9"), 3, at(10), []],
  ["the first one is missing", line, runs("1:4-9"), 3, null, ["1:3-3"]],
  ["a hole", line, runs("1:3-4", "1:7-8"), 3, at(5), ["1:5-6"]],
  ["two holes", line, runs("1:3", "1:5", "1:7-8"), 3, at(4), ["1:4-4", "1:6-6"]],
  ["older ones do not count", line, runs("1:1-9"), 8, at(10), []],
  ["a timeline goes on in its own first segment", branched, runs("1:3-4", "2:5-7"), 3, at(8), []],
  ["the old one's last segment may be there", branched, runs("1:3-5", "2:5-7"), 3, at(8), []],
  [
    "the old one's last segment is not the new one's first",
    branched,
    runs("1:3-5", "2:6-7"),
    3,
    at(5),
    ["2:5-5"],
  ],
  ["what the old one wrote later is another life", branched, runs("1:3-9", "2:5"), 3, at(6), []],
  ["a hole before the new timeline", branched, runs("1:3", "2:5-7"), 3, at(4), ["1:4-4"]],
  ["nothing of the new timeline yet", branched, runs("1:3-4"), 3, at(5), []],
  ["it begins where a segment does", edged, runs("1:3-4", "2:5-7"), 3, at(8), []],
  ["and the one before is missing", edged, runs("1:3", "2:5-7"), 3, at(4), ["1:4-4"]],
  ["from within the new timeline", branched, runs("2:6-7"), 6, at(8), []],
] as const)("WAL: %s", (_name, path, held, from, reach, gaps) => {
  const options = { from: at(from, 0x28), segmentBytes: MB16 };
  expect(reachOf(held, path, options)?.lsn ?? null).toBe(reach);
  expect(
    gapsOf(held, path, options).map(({ timeline, first, last }) => `${timeline}:${first}-${last}`),
  ).toEqual([...gaps]);
});

test("what a backup needs is missing also at the end", () => {
  const need = (
    held: ReturnType<typeof runs>,
    path: typeof branched | typeof line,
    until: bigint,
  ) =>
    gapsOf(held, path, { from: at(3, 0x28), until, segmentBytes: MB16 }).map(
      ({ first_file, last_file }) => `${first_file} ${last_file}`,
    );
  expect(need(runs("1:3"), line, at(4, 0x100))).toEqual([
    "000000010000000000000004 000000010000000000000004",
  ]);
  expect(need(runs("1:3"), line, at(4))).toEqual([]);
  expect(need(runs(), line, at(5))).toEqual(["000000010000000000000003 000000010000000000000004"]);
  // Its last segment is the one in which the timeline ended: the new one's first says the same.
  expect(need(runs("1:3-4", "2:5"), branched, at(5, 0x100))).toEqual([]);
  expect(need(runs("1:3-5"), branched, at(5, 0x100))).toEqual([]);
  expect(need(runs("1:3-4"), branched, at(5, 0x100))).toEqual([
    "000000010000000000000005 000000010000000000000005",
  ]);
  expect(need(runs("1:3-5"), branched, at(5, 0x200))).toEqual([
    "000000020000000000000005 000000020000000000000005",
  ]);
});

test("a recovery reads segments in the order of its path", () => {
  const read = [
    ...segmentsOf(runs("1:3-9", "2:5-6", "2:8"), branched, { from: at(3), segmentBytes: MB16 }),
  ];
  expect(read.map(({ timeline, number }) => `${timeline}:${number}`)).toEqual([
    "1:3",
    "1:4",
    "2:5",
    "2:6",
  ]);
});

test.each([
  ["2026-03-01 14:03:00+01", "2026-03-01T13:03:00Z"],
  ["2026-03-01T14:03:00.123456Z", "2026-03-01T14:03:00.123456Z"],
  ["2026-03-01 14:03 UTC", "2026-03-01T14:03:00Z"],
  ["2026-03-01 14:03:07,5 -0330", "2026-03-01T17:33:07.5Z"],
  ["2026-03-01 14:03 Europe/Berlin", "2026-03-01T13:03:00Z"],
  ["2026-07-01 14:03 Europe/Berlin", "2026-07-01T12:03:00Z"],
  ["2026-03-01 14:03 America/Argentina/Buenos_Aires", "2026-03-01T17:03:00Z"],
  ["2026-10-25 02:30+02:00", "2026-10-25T00:30:00Z"],
  ["2026-10-25 03:00 Europe/Berlin", "2026-10-25T02:00:00Z"],
])("%p is %p", (text, instant) => {
  expect(iso(parseInstant(text))).toBe(instant);
});

test.each([
  ["2026-03-01 14:03", "2026-03-01 14:03 does not say of which timezone it is"],
  ["14:03", "14:03 is no point in time"],
  ["yesterday", "yesterday is no point in time"],
  ["2026-02-30 14:03Z", "There is no 2026-02-30 14:03Z"],
  ["2026-03-01 24:03Z", "There is no 2026-03-01 24:03Z"],
  ["2026-03-01 14:03 Europe/Berln", "There is no timezone Europe/Berln"],
  ["2026-03-01 14:03 +17", "+17 is no offset from UTC"],
  // The clocks were put back at 03:00, and forward at 02:00.
  [
    "2026-10-25 02:30 Europe/Berlin",
    "The clocks of Europe/Berlin showed 2026-10-25 02:30 Europe/Berlin twice",
  ],
  [
    "2026-03-29 02:30 Europe/Berlin",
    "The clocks of Europe/Berlin never showed 2026-03-29 02:30 Europe/Berlin: they were put forward over it",
  ],
])("%p is refused", (text, message) => {
  expect(refusal(() => parseInstant(text))).toBe(`invalid_param: ${message}`);
});

test("of an origin, what it wrote after the copy had left it is not read", () => {
  const text = "7301/18/c1@2:0/5000158";
  const origin = parseOrigin(text);
  expect([origin.until, originText(origin.key, origin.until!)]).toEqual([
    { timeline: 2, lsn: 0x5000158n },
    text,
  ]);
  const { until } = readPart(origin, MB16);
  expect(until).toEqual({ timeline: 2, lsn: "0/5000158", file: "000000020000000000000005" });
  const later = [
    "000000010000000000000009",
    "000000020000000000000005",
    "00000002.history",
    "000000020000000000000006",
    "000000020000000000000006.partial",
    "000000030000000000000001",
    "00000003.history",
  ].filter((file) => isLater(file, until));
  expect(later).toEqual([
    "000000020000000000000006",
    "000000020000000000000006.partial",
    "000000030000000000000001",
    "00000003.history",
  ]);
  expect(refusal(() => parseOrigin("7301/18/c1"))).toStartWith("invalid_config");
});

test("a history of a recovery that stopped before its timeline began, as PostgreSQL writes it, is read as what was replayed", () => {
  const text = `1\t0/150000A0\tno recovery target specified

2\t0/747F6F8\tafter LSN 0/747F500


3\t0/80000A0\tno recovery target specified
`;
  const ancestors = [
    { timeline: 1, until: 0x747f6f8n, reason: "after LSN 0/747F500" },
    { timeline: 3, until: 0x80000a0n, reason: "no recovery target specified" },
  ];
  expect(parseHistory(4, text)).toEqual(ancestors);
  const path = pathTo(new Map([[4, ancestors]]), 4);
  expect(isOnPath(path, 1, 0x5000000n)).toBe(true);
  // What timeline 1 wrote later is on the branch of timeline 2.
  expect(isOnPath(path, 1, 0x9000000n)).toBe(false);
  expect(isOnPath(path, 2, 0x15000100n)).toBe(false);
  expect(isOnPath(path, 3, 0x7500000n)).toBe(true);
  expect(parseHistory(5, "1 0/9000000 a\n3 0/8000000 b\n4 0/7000000 c")).toEqual([
    { timeline: 1, until: 0x7000000n, reason: "c" },
  ]);
});
