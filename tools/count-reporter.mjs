// A node:test reporter that writes only the counts of leaf tests, as one JSON object.
export default async function* countReporter(source) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures = [];
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    // A suite, or a file node that stands for the process, is no test of its own unless it failed by itself.
    const isContainer = event.data.details?.type === 'suite';
    if (event.type === 'test:pass') {
      if (isContainer) continue;
      if (event.data.skip !== undefined || event.data.todo !== undefined) skipped++;
      else passed++;
    } else if (!isContainer || event.data.details?.error?.failureType !== 'subtestsFailed') {
      if (event.data.details?.error?.failureType === 'subtestsFailed') continue;
      failed++;
      failures.push(`${event.data.file ?? ''}: ${event.data.name}`);
    }
  }
  yield JSON.stringify({ passed, failed, skipped, failures });
}
