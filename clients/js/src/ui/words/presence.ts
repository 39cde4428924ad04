/** The words of presence. */
import type { Words } from "./index";

export const PRESENCE_WORDS: Words = {
  en: { online: "{count} online", nobody: "Nobody is online", joined: "{name} is here", left: "{name} has left", more: "and {count} more", unknown: "Who is online is not known" },
  de: { online: "{count} online", nobody: "Niemand ist online", joined: "{name} ist da", left: "{name} ist gegangen", more: "und {count} weitere", unknown: "Wer online ist, ist nicht bekannt" },
  vi: { online: "{count} người trực tuyến", nobody: "Không có ai trực tuyến", joined: "{name} đã vào", left: "{name} đã rời đi", more: "và {count} người khác", unknown: "Không rõ ai đang trực tuyến" },
};
