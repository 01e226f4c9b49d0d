import type { QmpClient } from "./client.ts";
import type { RawBlockJob } from "./answers.ts";

/** A job of any kind (JobInfo). Progress is in units of the job's own: bytes for a mirror. */
export interface JobInfo {
  /** The job's id. */
  readonly id: string;
  /** Such as `mirror`. */
  readonly type: string;
  /** `running`, `ready`, `concluded`, ...; treat an unknown one as `running`. */
  readonly status: string;
  /** Progress so far. */
  readonly currentProgress: number;
  /** Progress at the end; it grows while the guest writes. */
  readonly totalProgress: number;
  /** Why it failed, once it has. */
  readonly error?: string;
}

/** All jobs, concluded ones included until they are dismissed (`query-jobs`, since QEMU 3.0). */
export async function queryJobs(client: QmpClient): Promise<JobInfo[]> {
  const jobs = await client.execute("query-jobs", {});
  return jobs.map((job) => ({
    id: job.id,
    type: job.type,
    status: job.status,
    currentProgress: job["current-progress"],
    totalProgress: job["total-progress"],
    ...(job.error === undefined ? {} : { error: job.error }),
  }));
}

/** All block jobs that are not dismissed (`query-block-jobs`, since QEMU 1.1). */
export async function queryBlockJobs(client: QmpClient): Promise<readonly RawBlockJob[]> {
  return await client.execute("query-block-jobs", {});
}
