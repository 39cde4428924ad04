// The composable in a page: ?hub=http://127.0.0.1:8000&token=... (hub token prints one).
import { useNotifications } from "realtime-hub-client/vue";
import { createApp, defineComponent, h } from "vue";

const address = new URLSearchParams(location.search);
const options = { url: address.get("hub") ?? location.origin, getToken: () => address.get("token") };

const Inbox = defineComponent({
  setup() {
    const { notifications, unreadCount, connection, markAsRead, markAllAsRead } = useNotifications(options);
    return () => [
      h("p", [h("output", { id: "state" }, connection.value.status), ", ", h("output", { id: "unread" }, unreadCount.value), " unread"]),
      h("button", { id: "all", onClick: markAllAsRead }, "Mark all read"),
      h(
        "ol",
        { id: "list" },
        notifications.value.map((item) =>
          h(
            "li",
            { key: item.id, style: { fontWeight: item.read ? "normal" : "bold" }, onClick: () => markAsRead(item.id) },
            item.title ?? item.type,
          ),
        ),
      ),
    ];
  },
});

createApp(Inbox).mount("#root");
