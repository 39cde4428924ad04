/** The words of the inbox, beside those of the bell. */
import { BELL_WORDS } from "./bell";
import { joined } from "./index";

export const INBOX_WORDS = joined(BELL_WORDS, {
  en: {
    archived: "Archived",
    archive: "Archive",
    unarchive: "Move back to the inbox",
    remove: "Delete",
    more: "Show older ones",
    loading: "Loading",
    type: "Type",
    anyType: "All types",
    filter: "Show",
    emptyArchive: "Nothing is archived",
    loadFailed: "The notifications could not be loaded.",
    again: "Try again",
  },
  de: {
    archived: "Archiviert",
    archive: "Archivieren",
    unarchive: "Zurück in den Posteingang",
    remove: "Löschen",
    more: "Ältere anzeigen",
    loading: "Wird geladen",
    type: "Art",
    anyType: "Alle Arten",
    filter: "Anzeigen",
    emptyArchive: "Nichts archiviert",
    loadFailed: "Die Benachrichtigungen konnten nicht geladen werden.",
    again: "Noch einmal versuchen",
  },
  vi: {
    archived: "Đã lưu trữ",
    archive: "Lưu trữ",
    unarchive: "Chuyển về hộp thư",
    remove: "Xóa",
    more: "Xem cũ hơn",
    loading: "Đang tải",
    type: "Loại",
    anyType: "Tất cả các loại",
    filter: "Hiển thị",
    emptyArchive: "Chưa lưu trữ gì",
    loadFailed: "Không tải được thông báo.",
    again: "Thử lại",
  },
});
