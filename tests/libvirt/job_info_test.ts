import { assertEquals } from "@std/assert";
import { parseJobInfo, parseRawJobInfo } from "../../src/libvirt/mod.ts";

const RAW = `Job type: 3

operation: 5
time_elapsed: 11889
downtime: 28
setup_time: 1
data_total: 3490054144
data_processed: 3222299400
data_remaining: 0
memory_total: 268828672
memory_processed: 1073928
memory_remaining: 0
memory_bps: 34479025
memory_constant: 65514
memory_normal: 118
memory_normal_bytes: 483328
memory_dirty_rate: 7
memory_iteration: 2
memory_postcopy_requests: 0
memory_page_size: 4096
disk_total: 3221225472
disk_processed: 3221225472
disk_remaining: 0

`;

const TABLE = `Job type:         Completed   
Operation:        Incoming migration
Time elapsed:     1517         ms
Time elapsed w/o network: 1516         ms
Data processed:   1.024 MiB
Data remaining:   0.000 B
Data total:       256.375 MiB
Memory processed: 1.024 MiB
Memory remaining: 0.000 B
Memory total:     256.375 MiB
Memory bandwidth: 33.747 MiB/s
Dirty rate:       7            pages/s
Page size:        4096         bytes
Iteration:        2           
Postcopy requests: 0           
Constant pages:   65514       
File processed:   1.500 GiB
File remaining:   512.000 KiB
File total:       3.000 GiB
File bandwidth:   1.000 MiB/s
Total downtime:   32           ms
Downtime w/o network: 31           ms
Setup time:       1            ms
`;

Deno.test("the raw numbers are libvirt's own", () => {
  assertEquals(parseRawJobInfo(RAW), {
    type: "completed",
    operation: "migration-out",
    elapsedMs: 11889,
    dataTotal: 3490054144,
    dataProcessed: 3222299400,
    dataRemaining: 0,
    memoryTotal: 268828672,
    memoryProcessed: 1073928,
    memoryRemaining: 0,
    memoryBps: 34479025,
    dirtyPagesPerSecond: 7,
    pageSize: 4096,
    iteration: 2,
    postcopyRequests: 0,
    diskTotal: 3221225472,
    diskProcessed: 3221225472,
    diskRemaining: 0,
    diskBps: null,
    downtimeMs: 28,
  });
});

Deno.test("the table's sizes are bytes", () => {
  assertEquals(parseJobInfo(TABLE), {
    type: "completed",
    operation: "migration-in",
    elapsedMs: 1517,
    dataTotal: 268828672,
    dataProcessed: 1073742,
    dataRemaining: 0,
    memoryTotal: 268828672,
    memoryProcessed: 1073742,
    memoryRemaining: 0,
    memoryBps: 35386294,
    dirtyPagesPerSecond: 7,
    pageSize: 4096,
    iteration: 2,
    postcopyRequests: 0,
    diskTotal: 3221225472,
    diskProcessed: 1610612736,
    diskRemaining: 524288,
    diskBps: 1048576,
    downtimeMs: 32,
  });
});

Deno.test("a domain without a job has no numbers", () => {
  for (
    const info of [
      parseRawJobInfo("Job type: 0\n\n\n"),
      parseJobInfo("Job type:         None        \n"),
    ]
  ) {
    assertEquals(info.type, "none");
    assertEquals([info.operation, info.elapsedMs, info.dataTotal, info.downtimeMs], [
      null,
      null,
      null,
      null,
    ]);
  }
});

Deno.test("job types and operations of a later libvirt are others", () => {
  const raw = parseRawJobInfo("Job type: 9\noperation: 12\n");
  assertEquals([raw.type, raw.operation], ["other", "other"]);
  const table = parseJobInfo("Job type: Suspended\nOperation: Backup\n");
  assertEquals([table.type, table.operation], ["other", "other"]);
});
