/** How an envelope can be printed; `auto` is a table on a terminal and JSON elsewhere. */
export const FORMATS = ["json", "table", "yaml", "auto"] as const;

export type Format = (typeof FORMATS)[number];
