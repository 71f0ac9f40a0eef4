import type { Random } from '../machine/machine.ts';

/**
 * RFC 2782: lowest priority first; within one priority each next record is drawn with a chance proportional to its weight
 * among those left (records of weight 0 stand first, so that they have a small chance).
 */
export function orderSrv<T extends { readonly priority: number; readonly weight: number }>(
  records: readonly T[],
  random: Random,
): T[] {
  const ordered: T[] = [];
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  for (const priority of priorities) {
    const left = records
      .filter((record) => record.priority === priority)
      .sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
    while (left.length > 0) {
      const sum = left.reduce((total, record) => total + record.weight, 0);
      const drawn = random.uint32() % (sum + 1);
      let running = 0;
      const index = left.findIndex((record) => {
        running += record.weight;
        return running >= drawn;
      });
      ordered.push(...left.splice(index, 1));
    }
  }
  return ordered;
}
