/* The Arduino IDE wants a file of the folder's name; setup() and loop() are in main.cpp. */
