/** Words that can't name a variable of CEL; after a dot they are names as any other, but for `in`, `true`, `false` and `null`. */
export const RESERVED: readonly string[] =
  "as break const continue else false for function if import in let loop namespace null package return true var void while".split(
    " ",
  );
