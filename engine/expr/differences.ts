/** Differences from CEL's specification, with reasons. The reference shows them; a test holds all else to the specification. */
export const DIFFERENCES: Readonly<Record<string, { what: string; why: string }>> = {
  size: {
    what: "`bytes('1MB')` is the number of bytes a size stands for, not the bytes of a text",
    why: "conditions compare sizes; bytes themselves are written `b'...'`",
  },
  names: {
    what: "a variable's name has no dots: `a.b.c` is a key of a key of `a`",
    why: "a runbook's variables are `params`, `steps`, `target`, ...; a second reading of a path would only surprise",
  },
  numbers: {
    what: "ints and doubles mix: `3 / 2.0` is 1.5 (`3 / 2` stays 1); a whole number that came as data is an int",
    why: "data does not say whether 3 was meant as 3.0; uints come only from `5u` and do not mix",
  },
  text: {
    what: "`string()` and `join()` take any value; lists, maps and null become JSON",
    why: "messages and file contents are made of them",
  },
  time: {
    what: "`timestamp()` also reads what PostgreSQL prints (`2026-02-22 10:00:00+00`, UTC without a zone), `duration()` also days (`2d`)",
    why: "that is how times and spans come out of SQL and stand in runbooks",
  },
  json: {
    what: "a result is JSON: durations are milliseconds, bytes are base64, types are their names, keys of maps are text",
    why: "outputs, parameters and the journal are JSON, and every span in them is in milliseconds",
  },
  absent: {
    what: "there are no messages, enums, optional values (`?.`), macros of two variables, `format`, nor libraries beyond strings",
    why: "nothing in a runbook gives such values; texts are made with Handlebars",
  },
};
