// What would be refused, told before a form is filled in: as the problem that the call would meet.
import { Problem } from "@/api/problem";
import type { ToldProblem } from "@/api/types";

export const problemTold = (told: ToldProblem | null | undefined): Problem | null =>
  told ? new Problem(told.status, told.code, told.detail, [], null, { ...told }) : null;
