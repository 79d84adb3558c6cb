package shop;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Shipping says what sending a parcel costs and when it comes. */
public final class Shipping {
    private Shipping() {}

    record Quote(int cents, int days) {
        static Quote of(int grams) {
            return grams <= 500 ? new Quote(275, 2) : new Quote(549, 3);
        }

        String json() {
            return "{\"cents\":" + cents + ",\"days\":" + days + "}";
        }
    }

    public static void main(String[] args) throws IOException {
        String port = System.getenv().getOrDefault("PORT", "8080");
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(port)), 0);
        ExecutorService workers = Executors.newFixedThreadPool(8);
        server.setExecutor(workers);
        server.createContext("/healthz", e -> reply(e, 200, "{\"ok\":true}"));
        server.createContext("/quote", Shipping::quote);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.stop(5);
            workers.shutdown();
        }));
        server.start();
        System.out.println("shipping listens on :" + port);
    }

    private static void quote(HttpExchange e) throws IOException {
        try {
            String query = e.getRequestURI().getQuery();
            int grams = Integer.parseInt(query.substring(query.indexOf("grams=") + "grams=".length()));
            reply(e, 200, Quote.of(grams).json());
        } catch (NullPointerException | NumberFormatException wrong) {
            reply(e, 400, "{\"error\":\"grams is a whole number\"}");
        }
    }

    private static void reply(HttpExchange e, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        e.getResponseHeaders().set("Content-Type", "application/json");
        e.sendResponseHeaders(status, bytes.length);
        try (var out = e.getResponseBody()) {
            out.write(bytes);
        }
    }
}
