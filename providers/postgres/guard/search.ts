import type { JsonObject } from "../../../engine/types.ts";
import { marked } from "../own.ts";
import type { Run } from "../session.ts";
import { RELATED } from "./relations-sql.ts";
import { FUNCTIONS, OPERATORS, UNWRITTEN, WORDS } from "./questions.ts";
import { ALWAYS, MADE_OF } from "./types-sql.ts";
import { type FunctionRow, happens, refuseUnsafe, type Rule } from "./judge.ts";
import { type Level, Pending, PLANNED, UNSEEN, type Way } from "./pending.ts";
import { callsIn, isReadable, wordsIn } from "./words.ts";

/** OIDs of what a judgement rests on. */
export interface Reached {
  functions: string[];
  operators: string[];
  relations: string[];
  types: string[];
  open: boolean;
}

/** Everything that is reached from what was added, by names and by the catalogues, judged on the way. */
export class Search {
  readonly functions = new Pending();
  readonly relations = new Pending();
  readonly types = new Pending();
  /** Words that may name a relation, and such that may name a type. */
  readonly #tables = new Pending();
  readonly #typeWords = new Pending();
  readonly #operators = new Pending();
  readonly #placed = new Set<string>();
  /** True when a default moves a sequence. */
  sequences = false;
  /** OIDs of functions and operators that somebody made. */
  readonly #made = { functions: new Set<string>(), operators: new Set<string>() };
  /** The functions that the statement calls while none of that name was seen: such a call is a cast when there is a type of that name. */
  readonly #unknown = new Set<string>();
  /** True when a name may come to mean something else: only the name tells what it stands for, or it stands for nothing yet. */
  open = false;
  readonly #run: Run;
  readonly #rule: Rule;

  constructor(run: Run, rule: Rule) {
    this.#run = run;
    this.#rule = rule;
  }

  /** All that somebody can change and that would change what happens. */
  get reached(): Reached {
    return {
      functions: [...this.#made.functions],
      operators: [...this.#made.operators],
      relations: this.relations.keys,
      types: this.types.keys,
      open: this.open || this.#unknown.size > 0,
    };
  }

  /** Adds a call of the statement itself. */
  addCall(name: string, way: Way): void {
    this.functions.add(name, way);
    this.#unknown.add(name);
  }

  /** An expression or view as the server writes it. */
  addExpression(text: string, way: Way): void {
    const { functions, operators } = callsIn(text);
    for (const name of functions) this.functions.add(name, way);
    this.addOperators(operators, way, /\bOPERATOR\(/.test(text));
    this.addTypes(wordsIn(text).words, way);
  }

  /** A text that somebody wrote. */
  addText(text: string, way: Way): void {
    if (!isReadable(text))
      throw this.#rule.refuse(
        `${way.by} can't be read: names in it are written with escapes or doubled quotes`,
      );
    this.open = true;
    const { words, operators } = wordsIn(text);
    for (const word of words) {
      this.functions.add(word, way);
      this.#tables.add(word, way);
    }
    this.addOperators(operators, way, /\boperator\b/i.test(text));
    this.addTypes(words, way);
  }

  addTypes(words: string[], way: Way): void {
    for (const word of words) this.#typeWords.add(word, way);
  }

  addOperators(names: string[], way: Way, placed: boolean): void {
    for (const name of names) {
      this.#operators.add(name, way);
      if (placed) this.#placed.add(name);
    }
  }

  /** @throws PgdbaError step_refused for the first thing that stands against it */
  async finish(level: Level): Promise<void> {
    this.addOperators(UNWRITTEN, { by: "the statement", level }, false);
    for (const row of await this.#ask(ALWAYS)) this.#addPart(row, { by: String(row.by), level });
    do {
      await this.#followFunctions();
      await this.#followWords();
      await this.#followRelations();
      await this.#followTypes();
      await this.#followOperators();
    } while (
      ![this.functions, this.relations, this.types, this.#tables, this.#typeWords].every(
        (one) => one.empty,
      )
    );
  }

  async #followFunctions(): Promise<void> {
    const names = this.functions.take();
    if (names.size === 0) return;
    for (const row of (await this.#ask(FUNCTIONS, [
      [...names.keys()],
    ])) as unknown as FunctionRow[]) {
      const way = names.get(row.name);
      if (way === undefined || (way.ofRow === true && !row.takes_row) || elsewhere(row, way))
        continue;
      this.#unknown.delete(row.name);
      if (!row.builtin) this.#made.functions.add(row.oid);
      for (const type of row.types) this.types.add(type, { by: row.shown, level: way.level });
      if (happens(row, way.level)) {
        refuseUnsafe(row, way, this.#rule);
        this.sequences ||= way.fills === true && row.volatile && row.builtin;
        const inner: Way = { by: row.shown, level: UNSEEN };
        for (const part of row.parts) this.functions.add(part, inner);
        if (row.source !== null) this.addText(row.source, inner);
      } else if (row.language === "sql" && row.source !== null) {
        // It may be inlined, and what it calls be evaluated.
        this.addText(row.source, { by: row.shown, level: PLANNED });
      } else if (row.arguments !== null)
        this.addExpression(row.arguments, { by: row.shown, level: PLANNED });
    }
  }

  async #followWords(): Promise<void> {
    const tables = this.#tables.take();
    const types = this.#typeWords.take();
    if (tables.size + types.size === 0) return;
    for (const { what, word, oid } of await this.#ask(WORDS, [
      [...tables.keys()],
      [...types.keys()],
    ])) {
      const way = (what === "type" ? types : tables).get(String(word));
      if (way !== undefined) (what === "type" ? this.types : this.relations).add(String(oid), way);
    }
  }

  async #followRelations(): Promise<void> {
    const taken = this.relations.take();
    if (taken.size === 0) return;
    for (const row of await this.#ask(RELATED, [[...taken.keys()]])) {
      const { level = UNSEEN } = taken.get(String(row.relation)) ?? {};
      const way: Way = { by: String(row.by), level: row.runs === true ? level : PLANNED };
      if (row.what === "foreign") this.#refuseForeign(String(row.value), way);
      else if (row.value !== null) this.#addPart(row, way);
    }
  }

  /** Foreign tables in sight are judged by the plan. */
  #refuseForeign(kind: string, { by, level }: Way): void {
    if (level === UNSEEN && kind !== "file")
      throw this.#rule.refuse(`it may read ${by}, a foreign table, within a function or view`);
    if (level === PLANNED && kind === "estimating")
      throw this.#rule.refuse(
        `it reads ${by}, a foreign table whose server plans along (use_remote_estimate)`,
      );
  }

  async #followTypes(): Promise<void> {
    const taken = this.types.take();
    if (taken.size === 0) return;
    for (const row of await this.#ask(MADE_OF, [[...taken.keys()]])) {
      const { level = UNSEEN } = taken.get(String(row.type)) ?? {};
      this.#addPart(row, { by: String(row.by), level });
    }
  }

  /** Operators may turn out to be meant when another type does. */
  async #followOperators(): Promise<void> {
    const names = this.#operators.keys;
    for (const row of await this.#ask(OPERATORS, [names, this.types.keys, [...this.#placed]])) {
      const way = this.#operators.get(String(row.operator));
      if (elsewhere(row, way)) continue;
      this.#made.operators.add(String(row["oid"]));
      const { level = UNSEEN } = way ?? {};
      // Estimators call it with what the statistics hold, volatile or not.
      this.functions.add(String(row.function), {
        by: `operator ${String(row.operator)}`,
        level: row.estimated === true ? UNSEEN : level,
      });
    }
  }

  #addPart({ what, value }: JsonObject, way: Way): void {
    const text = String(value);
    // Literals of arrays and rows are read by the parser, and comparisons made with the statistics, whatever is volatile.
    const always: Way = { by: way.by, level: UNSEEN };
    if (what === "text") this.addExpression(text, way);
    if (what === "check") this.addExpression(text, always);
    if (what === "relation") this.relations.add(text, way);
    if (what === "type") this.types.add(text, way);
    if (what === "function" || what === "operator") this.functions.add(text, way);
    if (what === "support") this.functions.add(text, always);
  }

  async #ask(sql: string, values: readonly unknown[] = []): Promise<JsonObject[]> {
    const { rows, truncated } = await this.#run(marked(sql), values, {
      maxRows: 100_000,
      maxBytes: 256 * 1024 * 1024,
    });
    if (truncated)
      throw this.#rule.refuse("it reaches more of the catalogues than can be looked at");
    return rows;
  }
}

/** True when it is in a schema where the named object can't be. */
function elsewhere(row: { schema?: unknown }, way: Way | undefined): boolean {
  return way?.places !== undefined && !way.places.includes(String(row.schema));
}
