"""Index advice of postgres-mcp for a workload: JSON on standard input to JSON on standard output.

in:  {"workload": [{"query": str, "calls": number}], "options": {arguments of DatabaseTuningAdvisor}}
out: {"indexes": [SQL], "seconds": number, "error": str | null}; the server is named by DATABASE_URI, as for the peer itself.
"""

import asyncio
import json
import os
import sys
import time

from postgres_mcp.index.dta_calc import DatabaseTuningAdvisor
from postgres_mcp.sql import DbConnPool, SqlDriver


async def main() -> None:
    asked = json.load(sys.stdin)
    pool = DbConnPool(os.environ["DATABASE_URI"])
    await pool.pool_connect()
    advisor = DatabaseTuningAdvisor(SqlDriver(conn=pool), **asked["options"])
    begun = time.perf_counter()
    result = await advisor.analyze_workload(workload=asked["workload"])
    seconds = time.perf_counter() - begun
    await pool.close()
    indexes = [found.definition for found in result.recommendations]
    json.dump({"indexes": indexes, "seconds": seconds, "error": result.error}, sys.stdout)


asyncio.run(main())
