import { succeeds } from '../../test/lab/run.ts';

/** Whether a program is there, installed with apt-get where it was missing; false where it is not to be had. */
export function haveProgram(program: string, debianPackages: string): boolean {
  const there = (): boolean => succeeds('sh', ['-c', `command -v ${program}`]);
  if (there()) return true;
  const install = `DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ${debianPackages}`;
  if (!succeeds('sh', ['-c', install])) succeeds('sh', ['-c', `apt-get update -q && ${install}`]);
  return there();
}
