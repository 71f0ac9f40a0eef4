// Loaded into every test process: properties run with one seed, so that a run can be repeated as it was. VOIP_SGW_PROPERTY_SEED=N
// sets another, `npm test -- --full` takes a new one each time; the runner prints which.
import fc from 'fast-check';

const seed = Number(process.env.VOIP_SGW_PROPERTY_SEED);
if (Number.isInteger(seed)) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
