// The path parameter that every route of one environment has.
import * as z from 'zod';
import { environmentName } from '../../api/environment.ts';

export const namedEnvironment = z.object({ name: environmentName });
