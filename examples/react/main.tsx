// The hooks in a page: ?hub=http://127.0.0.1:8000&token=... (hub token prints one).
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { HubProvider, useHub, useNotifications, useSSE } from "realtime-hub-client/react";

const address = new URLSearchParams(location.search);
const options = { url: address.get("hub") ?? location.origin, getToken: () => address.get("token") };

function Inbox() {
  const { connection } = useHub();
  const { notifications, unreadCount, actions } = useNotifications();
  useSSE({
    endpoint: "/sse/bookings",
    onMessage: (booking: { type: string; data: { guestName?: string } }) => {
      if (booking.type === "booking.created") document.title = `New booking from ${booking.data.guestName}`;
    },
  });
  return (
    <>
      <p>
        <output id="state">{connection.status}</output>, <output id="unread">{unreadCount}</output> unread
      </p>
      <button id="all" onClick={() => void actions.readAll()}>Mark all read</button>
      <ol id="list">
        {notifications.map((item) => (
          <li key={item.id} style={{ fontWeight: item.read ? "normal" : "bold" }} onClick={() => void actions.read(item.id)}>
            {item.title ?? item.type}
          </li>
        ))}
      </ol>
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <HubProvider options={options}>
      <Inbox />
    </HubProvider>
  </StrictMode>,
);
