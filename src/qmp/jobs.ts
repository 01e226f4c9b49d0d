import type { QmpClient } from "./client.ts";
import type { RawBlockJob } from "./commands.ts";

/** A job of any kind (JobInfo). Progress is in units of the job's own: bytes for a mirror. */
export interface JobInfo {
  readonly id: string;
  readonly type: string;
  /** `running`, `ready`, `concluded` …; unknown ones mean that it goes on. */
  readonly status: string;
  readonly currentProgress: number;
  readonly totalProgress: number;
  /** Why it failed, once it has. */
  readonly error?: string;
}

/** All jobs, finished ones included until they are dismissed. */
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

/** All block jobs that are under way. */
export async function queryBlockJobs(client: QmpClient): Promise<readonly RawBlockJob[]> {
  return await client.execute("query-block-jobs", {});
}
