// A question before something happens that cannot be taken back. Back, Escape and the other button all mean no.
import { closeDialog, showConfirmDialog } from "vant/es/dialog";
import "vant/es/dialog/style";
import { backCloses } from "@/back";

export interface Question {
  title?: string;
  message: string;
  yes: string;
  no: string;
  danger?: boolean;
}

export async function asks({ title, message, yes, no, danger }: Question): Promise<boolean> {
  const answer = showConfirmDialog({
    message,
    confirmButtonText: yes,
    cancelButtonText: no,
    closeOnPopstate: false,
    ...(title ? { title } : {}),
    ...(danger ? { confirmButtonColor: "var(--sw-danger)" } : {}),
  }).then(
    () => true,
    () => false,
  );
  return backCloses(answer, refuses);
}

/** As a tap on the button that says no: a dialog that is only closed answers nothing. */
function refuses(): void {
  const no = document.querySelector<HTMLElement>(".van-dialog .van-dialog__cancel");
  if (no) no.click();
  else closeDialog();
}
