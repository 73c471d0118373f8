import type { JsonObject } from "../../../engine/types.ts";
import { maskedRows } from "../../query/secret.ts";
import type { Met } from "./merge.ts";
import { shownKey } from "./select.ts";
import type { Row } from "./side.ts";
import type { Pair } from "./table.ts";

const KEYS = { type: "array", items: { type: "object" } } as const;

/** The part of an output that tells what was found; keys and counts of each kind. */
export const FOUND = {
  same: { type: "integer", description: "Rows that are equal on both sides" },
  only_here: { type: "integer", description: "Rows that the second server does not have" },
  only_there: { type: "integer", description: "Rows that the target does not have" },
  different: { type: "integer", description: "Rows of one key with other values" },
  twice: {
    type: "integer",
    description: "Rows whose key another row of the same side has too: its unique index is damaged",
  },
  columns: {
    type: "array",
    description: "The columns that differ, and in how many rows",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["column", "rows"],
      properties: { column: { type: "string" }, rows: { type: "integer" } },
    },
  },
  only_here_keys: KEYS,
  only_there_keys: KEYS,
  different_keys: {
    type: "array",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["key", "columns"],
      properties: {
        key: { type: "object" },
        columns: { type: "array", items: { type: "string" } },
      },
    },
  },
  twice_keys: {
    type: "array",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["side", "key"],
      properties: { side: { enum: ["here", "there"] }, key: { type: "object" } },
    },
  },
} as const;

/** Counts what a comparison meets, and keeps the first keys of each kind. */
export class Found {
  readonly #pair: Pair;
  readonly #limit: number;
  readonly #columns = new Map<string, number>();
  same = 0;
  only_here = 0;
  only_there = 0;
  different = 0;
  twice = 0;
  readonly #here: JsonObject[] = [];
  readonly #there: JsonObject[] = [];
  readonly #different: { key: JsonObject; columns: string[] }[] = [];
  readonly #twice: { side: "here" | "there"; key: JsonObject }[] = [];

  constructor(pair: Pair, limit: number) {
    this.#pair = pair;
    this.#limit = limit;
  }

  get equal(): boolean {
    return this.only_here + this.only_there + this.different + this.twice === 0;
  }

  add(met: Met): void {
    if (met.what === "same") this.same += 1;
    else if (met.what === "here") {
      this.only_here += 1;
      this.#keep(this.#here, () => this.#key(met.here));
    } else if (met.what === "there") {
      this.only_there += 1;
      this.#keep(this.#there, () => this.#key(met.there));
    } else if (met.what === "different") {
      this.different += 1;
      const columns = this.#differing(met.here.row, met.there.row);
      for (const name of columns) this.#columns.set(name, (this.#columns.get(name) ?? 0) + 1);
      this.#keep(this.#different, () => ({ key: this.#key(met.here), columns }));
    } else {
      this.twice += 1;
      this.#keep(this.#twice, () => ({ side: met.side, key: this.#key(met.row) }));
    }
  }

  told() {
    const { same, only_here, only_there, different, twice } = this;
    return {
      same,
      only_here,
      only_there,
      different,
      twice,
      columns: [...this.#columns]
        .map(([column, rows]) => ({ column, rows }))
        .toSorted((a, b) => b.rows - a.rows),
      only_here_keys: this.#here,
      only_there_keys: this.#there,
      different_keys: this.#different,
      twice_keys: this.#twice,
    };
  }

  #keep<T>(list: T[], make: () => T): void {
    if (list.length < this.#limit) list.push(make());
  }

  #key(row: Row): JsonObject {
    return maskedRows([shownKey(this.#pair, row)])[0]!;
  }

  #differing(here: string, there: string): string[] {
    const [own, other] = [JSON.parse(here), JSON.parse(there)] as [unknown[], unknown[]];
    return this.#pair.columns.filter((_, at) => own[at] !== other[at]);
  }
}
